"""Functions that try to get out, or to take more than theirs, and what they leave behind."""

import glob
import io
import json
import os
import pathlib
import subprocess
import tempfile
import zipfile

import pytest

from conftest import BINARY, RUNTIMES, Server, free_port
from test_pipeline import TRUST, make_function

# Runs the code it is sent; what that binds to `result` is the answer, an exception is told by its name and number.
PUPPET = '''
import os, sys, json, time, socket, signal, subprocess, ctypes, urllib.request, urllib.error
def handler(event, context):
    scope = {}
    try:
        exec(event['code'], globals(), scope)
    except BaseException as error:
        return {'error': type(error).__name__, 'errno': getattr(error, 'errno', None), 'text': str(error)}
    return {'result': scope.get('result')}
'''


def do(server, name, code, **more):
    """What came of running `code` in a function."""
    answer = server.client('lambda', read_timeout=120).invoke(
        FunctionName=name, Payload=json.dumps({'code': code}), **more)
    body = json.loads(answer['Payload'].read())
    return dict(body, FunctionError=answer['FunctionError']) if 'FunctionError' in answer else body


def held(server, layer):
    """Skips a test of a layer that this machine cannot offer."""
    sandbox = server.own('status')['sandbox']
    if layer not in sandbox['held']:
        why = [line for line in sandbox['missing'] if line.startswith(layer)]
        pytest.skip('this kernel offers no {}: {}'.format(layer, why))


@pytest.fixture(scope='module')
def puppet(server):
    make_function(server, 'puppet', PUPPET, MemorySize=1769, Timeout=20)
    return lambda code, **more: do(server, 'puppet', code, **more)


def test_what_a_function_sees_is_lambdas(server, puppet):
    held(server, 'namespaces')
    seen = puppet('result = [os.getcwd(), os.environ["LAMBDA_TASK_ROOT"], __file__, sys.executable, sorted(os.listdir("/var/task"))]')
    assert seen['result'] == ['/var/task', '/var/task', '/var/task/handler.py', '/var/lang/bin/python', ['handler.py']]
    assert puppet('result = [os.getuid(), os.getgid(), os.environ["HOME"], socket.gethostname()]')['result'] == [
        993, 990, '/tmp', 'localhost']
    assert puppet('result = sorted(int(pid) for pid in os.listdir("/proc") if pid.isdigit())')['result'] == [1, 2]
    left = puppet('open("/tmp/a", "w").write("x"); result = os.listdir("/tmp")')
    assert left['result'] == ['a']
    for place in ('/', '/var/task', '/usr', '/etc', '/dev', '/var/lang', '/opt'):
        told = puppet('open({!r} + "/new", "w")'.format(place))
        assert told['error'] in ('OSError', 'PermissionError', 'FileNotFoundError'), (place, told)


def test_the_machine_is_out_of_sight(server, puppet):
    held(server, 'namespaces')
    code = next(iter((server.data_dir / 'functions').iterdir()))
    for path in (server.data_dir, code, server.data_dir / 'lock', server.log, '/etc/shadow', '/root/.ssh', '/home',
                 '/proc/{}/environ'.format(server.process.pid), '/sys', '/dev/shm', '/dev/vda', '/run', '/boot',
                 pathlib.Path(__file__)):
        told = puppet('result = os.stat({!r}).st_size'.format(str(path)))
        assert told.get('error') == 'FileNotFoundError', (path, told)
    # What is there belongs to the process around it, which cannot be looked into.
    for path in ('/proc/1/environ', '/proc/1/mem', '/proc/1/maps'):
        assert puppet('result = open({!r}, "rb").read()'.format(path)).get('error') == 'PermissionError', path
    for path in ('/proc/1/root/etc', '/proc/1/cwd', '/proc/1/fd', '/proc/1/exe'):
        assert puppet('result = os.listdir({0!r}) if os.path.isdir({0!r}) else os.readlink({0!r})'.format(path)).get(
            'error') == 'PermissionError', path
    environment = puppet('result = dict(os.environ)')['result']
    assert not [key for key in environment if key.startswith('HEADWATER')]
    assert str(server.data_dir) not in json.dumps(environment)
    links = puppet('''
result = []
for fd in os.listdir("/proc/self/fd"):
    try: result.append(os.readlink("/proc/self/fd/" + fd))
    except FileNotFoundError: pass''')['result']
    assert not [link for link in links if str(server.data_dir) in link], links


def test_nobody_else_can_be_touched(server, puppet):
    held(server, 'namespaces')
    pid = server.process.pid
    assert puppet('os.kill({}, 9)'.format(pid)).get('error') == 'ProcessLookupError'
    assert puppet('os.kill(os.getppid(), 9); time.sleep(0.2); result = "alive"') == {'result': 'alive'}
    # All that it may signal, it does: its process ends, and nothing else.
    make_function(server, 'neighbour', PUPPET)
    before = do(server, 'neighbour', 'result = os.urandom(8).hex(); globals()["KEPT"] = result')['result']
    everybody = '''
signal.signal(15, signal.SIG_IGN)
for whom in (-1, 1, 0):
    for number in (15, 9):
        try: os.kill(whom, number)
        except (ProcessLookupError, PermissionError): pass'''
    assert 'FunctionError' in puppet(everybody)
    assert do(server, 'neighbour', 'result = KEPT') == {'result': before}
    assert server.process.poll() is None and server.own('health')['status'] == 'ok'


def test_rights_cannot_be_had(server, puppet):
    held(server, 'seccomp')
    status = puppet('result = open("/proc/self/status").read()')['result']
    lines = dict(line.split(':\t', 1) for line in status.splitlines() if ':\t' in line)
    assert (lines['CapEff'], lines['CapPrm'], lines['CapBnd']) == ('0' * 16,) * 3
    assert (lines['NoNewPrivs'], lines['Seccomp']) == ('1', '2')
    # EPERM is 1.
    call = 'libc = ctypes.CDLL(None, use_errno=True); r = libc.{}; result = [r, ctypes.get_errno()]'
    for what in ('mount(b"none", b"/tmp", b"tmpfs", 0, None)', 'umount2(b"/tmp", 2)', 'unshare(0x10000000)',
                 'unshare(0x40000000)', 'setns(0, 0)', 'ptrace(16, 1, 0, 0)', 'chroot(b"/tmp")',
                 'syscall(321, 0, 0, 0)', 'syscall(298, 0, 0, 0, 0, 0)', 'syscall(323, 0)', 'syscall(425, 1, 0)',
                 'syscall(250, 0, 0)', 'syscall(304, 0, 0, 0)', 'syscall(246, 0, 0, 0, 0)', 'syscall(310, 1, 0, 0, 0, 0, 0)',
                 'syscall(56, 0x10000011, 0, 0, 0, 0)', 'syscall(0x40000000 + 272, 0x10000000)'):
        if 'syscall' in what and os.uname().machine != 'x86_64':
            continue
        assert puppet(call.format(what)) == {'result': [-1, 1]}, what
    assert puppet('os.setuid(0)').get('error') in ('PermissionError', 'OSError')
    # A program that would make its caller root does not, even where one is at hand.
    told = puppet('''
out = []
for program in ("/usr/bin/su", "/bin/su", "/usr/bin/passwd", "/usr/bin/mount", "/usr/bin/chsh"):
    if os.path.exists(program) and os.stat(program).st_mode & 0o4000:
        run = subprocess.run([program, "--help"], capture_output=True)
        out.append(os.statvfs(program).f_flag & os.ST_NOSUID)
result = out''')['result']
    assert all(told), 'programs of the root give no rights here'
    assert puppet('os.mknod("/tmp/device", 0o20666, os.makedev(1, 1))').get('error') == 'PermissionError'


def test_only_the_endpoint_answers(server, puppet):
    held(server, 'network')
    assert puppet('import boto3; result = boto3.client("sts").get_caller_identity()["Account"]') == {
        'result': '000000000000'}
    with subprocess.Popen(['python3', '-u', '-c', '''
import socket
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(); print(s.getsockname()[1])
u = socket.socket(type=socket.SOCK_DGRAM); u.bind(("127.0.0.1", 0)); u.settimeout(60); print(u.getsockname()[1])
print(u.recv(10))'''], stdout=subprocess.PIPE, text=True) as other:
        tcp, udp = int(other.stdout.readline()), int(other.stdout.readline())
        connect = 'result = socket.create_connection(({!r}, {}), 2) and 1'
        assert puppet(connect.format('127.0.0.1', tcp)).get('error') == 'ConnectionRefusedError'
        puppet('socket.socket(type=socket.SOCK_DGRAM).sendto(b"out", ("127.0.0.1", {}))'.format(udp))
        subprocess.run(['python3', '-c', 'import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b"mine", ("127.0.0.1", {}))'.format(udp)], check=True)
        assert other.stdout.readline() == "b'mine'\n", 'nothing came out before'
        other.kill()
    for host in ('10.0.0.1', '169.254.169.254', '8.8.8.8', '::1'):
        assert 'error' in puppet(connect.format(host, 80)), host
    assert 'error' in puppet('result = socket.getaddrinfo("amazonaws.com", 80)')
    assert puppet('s = socket.socket(socket.AF_UNIX); s.connect("\\0/tmp/.X11-unix/X0")').get('error')
    assert puppet('socket.socket(socket.AF_PACKET, socket.SOCK_RAW)').get('error') == 'PermissionError'


OWN = '''
def ask(route, key=None):
    request = urllib.request.Request(os.environ["AWS_ENDPOINT_URL"] + "/_headwater/" + route)
    if key:
        import base64
        request.add_header("Authorization", "Basic " + base64.b64encode(key.encode()).decode())
    try:
        return urllib.request.urlopen(request, timeout=10).status
    except urllib.error.HTTPError as error:
        return error.code
result = [ask(route) for route in ("outbox", "status", "tail?what=audit", "metrics", "")] + [ask("outbox", "test:wrong")]
result.append(ask("health"))
'''


@pytest.mark.parametrize('how', ['endpoint', 'all', 'off'])
def test_own_routes_are_not_for_functions(fresh, tmp_path, how):
    config = tmp_path / 'headwater.toml'
    config.write_text('sandbox = "{}"\n[functions]\nnetwork = "{}"\n'.format(
        'off' if how == 'off' else 'best', 'all' if how == 'all' else 'endpoint'))
    server = fresh('--config', str(config))
    make_function(server, 'puppet', PUPPET, MemorySize=1769, Timeout=20)
    assert do(server, 'puppet', OWN.replace('def ask', 'global ask\ndef ask', 1)) == {'result': [401] * 6 + [200]}
    assert server.own('outbox') == [], 'others on this machine may look'
    if how == 'all':
        held(server, 'namespaces')
        told = do(server, 'puppet', 'result = socket.create_connection(("127.0.0.1", {}), 2) and 1'.format(server.port))
        assert told == {'result': 1}
        assert do(server, 'puppet', 'os.listdir({!r})'.format(str(server.data_dir)))['error'] == 'FileNotFoundError'


def test_disks_and_memory_end(server, name, puppet):
    held(server, 'namespaces')
    make_function(server, name, PUPPET, MemorySize=128, EphemeralStorage={'Size': 600}, Timeout=60)
    # ENOSPC is 28. Many files count as one does, and files in memory do not count as memory.
    full = do(server, name, '''
piece, written = b"x" * (1 << 20), 0
try:
    for number in range(700):
        with open("/tmp/%d" % (number // 10), "ab") as file: file.write(piece)
        written += 1
except OSError as error:
    result = [error.errno, written]''')
    assert full['result'][0] == 28 and 560 <= full['result'][1] <= 600, full
    assert do(server, name, 'import shutil\nfor f in os.listdir("/tmp"): os.remove("/tmp/" + f)\nresult = os.listdir("/tmp")') == {
        'result': []}
    before = puppet('result = os.getpid(); globals()["KEPT"] = 7')
    if 'control groups' in server.own('status')['sandbox']['held']:
        gone = do(server, name, '''
hog = []
while True: hog.append(bytearray(64 << 20))''')
        assert gone['errorType'] == 'Runtime.OutOfMemory' and 'signal: killed' in gone['errorMessage'], gone
        gone = do(server, name, '''
import mmap
hog = mmap.mmap(-1, 100 << 30, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000)
for at in range(0, 100 << 30, 4096): hog[at] = 1''')
        assert gone['errorType'] == 'Runtime.OutOfMemory', gone
    assert puppet('result = KEPT') == {'result': 7}, before


def test_processor_time_follows_memory(server, name, puppet):
    held(server, 'control groups')
    make_function(server, name, PUPPET, MemorySize=128, Timeout=30)
    # A busy machine makes the share smaller, never larger.
    spent = '''
wall, own = time.perf_counter(), time.process_time()
while time.perf_counter() - wall < 2: pass
result = (time.process_time() - own) / (time.perf_counter() - wall)'''
    assert do(server, name, spent)['result'] < 0.2, '128 MB are 0.07 processors'


def test_forks_end(server, name, puppet):
    held(server, 'control groups')
    make_function(server, name, PUPPET, MemorySize=512, Timeout=10)
    puppet('globals()["KEPT"] = 8')
    bomb = '''
def bomb():
    while True:
        try: os.fork()
        except OSError: time.sleep(0.001)
bomb()'''
    told = do(server, name, bomb)
    assert told['FunctionError'] == 'Unhandled', told
    assert puppet('result = KEPT') == {'result': 8}
    assert do(server, name, 'result = 1') == {'result': 1}


def tree(server):
    """All processes below the server, by /proc."""
    parents = {}
    for stat in glob.glob('/proc/[0-9]*/stat'):
        try:
            pid, rest = int(stat.split('/')[2]), pathlib.Path(stat).read_text().rsplit(')', 1)[1].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        parents[pid] = int(rest[1])
    found, grown = {server.process.pid}, True
    while grown:
        grown = {pid for pid, parent in parents.items() if parent in found} - found
        found |= grown
    return found - {server.process.pid}


def leftovers(pid):
    """Control groups and mounts of a server."""
    groups = glob.glob('/sys/fs/cgroup/**/headwater-{}/*/'.format(pid), recursive=True)
    return groups, [line for line in pathlib.Path('/proc/self/mounts').read_text().splitlines() if 'headwater' in line]


def gone(pid):
    try:
        return pathlib.Path('/proc/{}/stat'.format(pid)).read_text().rsplit(')', 1)[1].split()[0] == 'Z'
    except (FileNotFoundError, ProcessLookupError):
        return True


CHILDREN = '''
signal.signal(signal.SIGTERM, signal.SIG_IGN)
for _ in range(3):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            time.sleep(1000)
        os._exit(0)
'''


def test_nothing_outlives_a_timeout(fresh, until):
    server = fresh()
    make_function(server, 'stubborn', PUPPET, Timeout=2, MemorySize=1769)
    told = do(server, 'stubborn', CHILDREN + 'time.sleep(1000)')
    assert 'Task timed out after 2.00 seconds' in told['errorMessage'], told
    until(lambda: not tree(server))
    until(lambda: leftovers(server.process.pid) == ([], []))
    scratch = server.data_dir / 'scratch'
    assert not scratch.exists() or not list(scratch.iterdir())


def test_nothing_outlives_a_killed_server(fresh, until):
    server = fresh()
    held(server, 'namespaces')
    make_function(server, 'stubborn', PUPPET, Timeout=60, MemorySize=1769)
    do(server, 'stubborn', CHILDREN + 'result = 1')
    processes, pid = tree(server), server.process.pid
    assert len(processes) >= 3, 'those of ours, the function and what it left'
    server.kill()
    until(lambda: all(gone(process) for process in processes))
    server.start()
    assert do(server, 'stubborn', 'result = os.listdir("/tmp")') == {'result': []}
    until(lambda: leftovers(pid) == ([], []))
    assert server.stop() == 0
    until(lambda: leftovers(server.process.pid) == ([], []))


# No user may make a namespace inside one whose count of them is used up.
WITHOUT_NAMESPACES = ['unshare', '--user', '--map-root-user', 'sh', '-c',
                      'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"', 'sh']


@pytest.fixture
def poor():
    """How to start a program that cannot have namespaces."""
    tried = subprocess.run([*WITHOUT_NAMESPACES, 'true'], capture_output=True, text=True)
    if tried.returncode:
        pytest.skip('this kernel offers no user namespaces: ' + tried.stderr)
    return WITHOUT_NAMESPACES


def test_what_is_missing_is_refused_where_it_is_required(tmp_path, poor):
    tried = subprocess.run(
        [*poor, BINARY, 'serve', '--listen', '127.0.0.1:{}'.format(free_port()), '--data-dir', str(tmp_path / 'data'),
         '--runtimes', RUNTIMES, '--sandbox', 'require'], stderr=subprocess.PIPE, text=True, timeout=60)
    assert tried.returncode == 1 and 'this machine lacks' in tried.stderr, tried.stderr
    assert 'namespaces' in tried.stderr and 'network' in tried.stderr and 'landlock' not in tried.stderr


def test_files_and_ports_are_kept_without_namespaces(tmp_path, poor):
    server = Server(tmp_path / 'data', ready=False)
    server.command = poor
    server.start()
    try:
        held(server, 'landlock')
        assert 'namespaces' not in server.own('status')['sandbox']['held']
        assert 'the sandbox of functions lacks namespaces' in server.log.read_text()
        make_function(server, 'puppet', PUPPET, MemorySize=1769, Timeout=20)
        for path in (server.log, server.data_dir / 'lock', '/etc/shadow', '/proc/{}/environ'.format(server.process.pid)):
            told = do(server, 'puppet', 'result = open({!r}, "rb").read(1)'.format(str(path)))
            assert told.get('error') == 'PermissionError', (path, told)
        assert do(server, 'puppet', 'os.listdir({!r})'.format(str(server.data_dir)))['error'] == 'PermissionError'
        assert do(server, 'puppet', 'open("x", "w")')['error'] in ('PermissionError', 'OSError')
        assert do(server, 'puppet', 'open(os.environ["TMPDIR"] + "/x", "w").write("x"); result = 1') == {'result': 1}
        assert do(server, 'puppet', 'os.kill({}, 9)'.format(server.process.pid))['error'] == 'PermissionError'
        assert do(server, 'puppet', 'import boto3; result = boto3.client("sts").get_caller_identity()["Account"]') == {
            'result': '000000000000'}
        told = do(server, 'puppet', 'socket.create_connection(("127.0.0.1", {}), 2)'.format(free_port()))
        assert told['error'] == 'PermissionError', 'it may not even try'
        assert do(server, 'puppet', OWN.replace('def ask', 'global ask\ndef ask', 1)) == {'result': [401] * 6 + [200]}
        log = server.own('tail?what=/aws/lambda/puppet')['lines']
        assert any(line['text'].startswith('SANDBOX Missing namespaces') for line in log), log
    finally:
        server.stop()


BOOTSTRAP = '''#!/usr/bin/python3
import http.client, json, os, urllib.request
while True:
    api = http.client.HTTPConnection(os.environ['AWS_LAMBDA_RUNTIME_API'])
    api.request('GET', '/2018-06-01/runtime/invocation/next')
    given = api.getresponse()
    code, scope = json.load(given)['code'], {}
    try:
        exec(code, globals(), scope)
        result = {'result': scope.get('result')}
    except BaseException as error:
        result = {'error': type(error).__name__}
    path = '/2018-06-01/runtime/invocation/' + given.headers['Lambda-Runtime-Aws-Request-Id'] + '/response'
    api.request('POST', path, json.dumps(result))
    api.getresponse().read()
'''


def test_an_ordinary_user_is_held_too():
    """The same as an ordinary user, who has user namespaces and perhaps no control groups."""
    if os.getuid() != 0:
        pytest.skip('all other tests run as an ordinary user already')
    if not os.path.exists('/usr/bin/python3'):
        pytest.skip('no interpreter that an ordinary user could run: /usr/bin/python3')
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        home = pathlib.Path(place) / 'home'
        home.mkdir()
        (home / 'secret').write_text('x')
        os.chown(home, 65534, 65534)
        server = Server(home / 'data', ready=False)
        server.log = pathlib.Path(place) / 'log'
        server.command = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups']
        server.start()
        try:
            ordinary(server, home)
            processes = tree(server)
        finally:
            server.stop()
        assert all(gone(process) for process in processes)


def ordinary(server, home):
    held(server, 'namespaces')
    out = io.BytesIO()
    with zipfile.ZipFile(out, 'w') as archive:
        entry = zipfile.ZipInfo('bootstrap')
        entry.external_attr = 0o755 << 16
        archive.writestr(entry, BOOTSTRAP)
    role = server.client('iam').create_role(RoleName='r', AssumeRolePolicyDocument=TRUST)['Role']['Arn']
    server.client('lambda').create_function(
        FunctionName='puppet', Role=role, Code={'ZipFile': out.getvalue()}, Runtime='provided.al2023', Handler='none',
        MemorySize=1769, Timeout=20)
    for path in (home / 'secret', server.data_dir, '/etc/shadow', '/home', '/proc/{}'.format(server.process.pid)):
        told = do(server, 'puppet', 'result = os.stat({!r}).st_size'.format(str(path)))
        assert told.get('error') == 'FileNotFoundError', (path, told)
    assert do(server, 'puppet', 'result = [os.getuid(), os.getcwd()]') == {'result': [993, '/var/task']}
    assert do(server, 'puppet', 'os.kill({}, 9)'.format(server.process.pid)) == {'error': 'ProcessLookupError'}
    endpoint = 'os.environ["AWS_ENDPOINT_URL"] + "/_headwater/'
    assert do(server, 'puppet', 'result = urllib.request.urlopen({}health").status'.format(endpoint)) == {'result': 200}
    told = do(server, 'puppet', 'result = urllib.request.urlopen({}outbox").status'.format(endpoint))
    assert told == {'error': 'HTTPError'}


def test_what_the_machine_has_mounted_below_tmp_takes_nothing_away(server, fresh):
    if subprocess.run(['unshare', '-m', 'true'], capture_output=True).returncode:
        pytest.skip('this user may not mount anything')
    running = fresh(ready=False)
    with tempfile.TemporaryDirectory(prefix='mounted-', dir='/tmp') as place:
        running.command = ['unshare', '-m', 'sh', '-c', 'mount -t tmpfs none "$0" && exec "$@"', place]
        running.start()
        offered = [one.own('status')['sandbox'] for one in (running, server)]
        assert offered[0] == offered[1]
        assert running.stop() == 0
