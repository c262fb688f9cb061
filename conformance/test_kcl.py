"""The real Kinesis Client Library consumes a stream through a reshard, polling and with enhanced fan-out.

The library's jars come from PyPI (a third party's package of them, pinned by its hash). It keeps its leases in DynamoDB,
which moto stands in for, here alone.
"""

import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
import urllib.request
import venv

import pytest

from conftest import free_port
from test_pipeline import make_stream

HOME = pathlib.Path(sys.prefix).parent / 'kcl'
LIBRARY = 'kclpy-ext==3.1.3.post4 --hash=sha256:6c8ced93674bd30103b9bdc319702e3637d2833641bbe58dda578f8a418858c2'
STAND_IN = 'moto[server]==5.2.5'
PATIENCE = 120
PROCESSOR = pathlib.Path(__file__).parent / 'kcl_processor.py'


@pytest.fixture(scope='session')
def library():
    """The jars, fetched once, and a Python that has moto."""
    if not shutil.which('java'):
        pytest.skip('there is no Java on this machine')
    wanted, marker = LIBRARY + '\n' + STAND_IN, HOME / 'installed'
    python = HOME / 'venv' / 'bin' / 'python'
    if not marker.exists() or marker.read_text() != wanted:
        shutil.rmtree(HOME, ignore_errors=True)
        venv.create(HOME / 'venv', with_pip=True)
        pip = [str(python), '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check']
        pinned = HOME / 'library.txt'
        pinned.write_text(LIBRARY + '\n')
        subprocess.run([*pip, '--no-deps', '--require-hashes', '--target', str(HOME / 'library'), '-r', str(pinned)],
                       check=True)
        subprocess.run([*pip, STAND_IN], check=True)
        marker.write_text(wanted)
    return python, HOME / 'library' / 'amazon_kclpy' / 'jars'


@pytest.fixture
def leases(library, tmp_path):
    """What stands in for DynamoDB."""
    port = free_port()
    with open(tmp_path / 'moto.log', 'wb') as log:
        running = subprocess.Popen(
            [str(library[0]), '-m', 'moto.server', '-H', '127.0.0.1', '-p', str(port)], stdout=log, stderr=log)
    endpoint = 'http://127.0.0.1:{}'.format(port)
    end = time.monotonic() + 60
    while True:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(endpoint + '/moto-api/', timeout=5).close()
            break
        assert time.monotonic() < end and running.poll() is None, (tmp_path / 'moto.log').read_text()[-2000:]
        time.sleep(0.1)
    yield endpoint
    running.kill()
    running.wait()


PROPERTIES = '''
executableName = {python} {processor}
streamName = {stream}
applicationName = {stream}
AwsCredentialsProvider = DefaultCredentialsProvider
regionName = us-east-1
kinesisEndpoint = {kinesis}
dynamoDBEndpoint = {leases}
initialPositionInStream = TRIM_HORIZON
retrievalMode = {mode}
metricsLevel = NONE
failoverTimeMillis = 2000
shardSyncIntervalMillis = 1000
idleTimeBetweenReadsInMillis = 250
parentShardPollIntervalMillis = 500
leasesRecoveryAuditorExecutionFrequencyMillis = 2000
'''

LOGBACK = '''<configuration><appender name="E" class="ch.qos.logback.core.ConsoleAppender"><target>System.err</target>
<encoder><pattern>%d %-5level %logger{0} - %msg%n</pattern></encoder></appender>
<root level="INFO"><appender-ref ref="E"/></root></configuration>'''


class Worker:
    """A running worker of the library."""

    def __init__(self, library, leases, server, stream, mode, folder):
        self.says, self.log = folder / 'says', folder / 'kcl.log'
        self.says.touch()
        properties = folder / 'kcl.properties'
        properties.write_text(PROPERTIES.format(
            python=sys.executable, processor=PROCESSOR, stream=stream, kinesis=server.endpoint, leases=leases, mode=mode))
        (folder / 'logback.xml').write_text(LOGBACK)
        environment = {**os.environ, 'AWS_ACCESS_KEY_ID': 'test', 'AWS_SECRET_ACCESS_KEY': 'test',
                       'AWS_REGION': 'us-east-1', 'KCL_SAYS': str(self.says)}
        with open(self.log, 'wb') as log:
            self.process = subprocess.Popen(
                ['java', '-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-Xmx256m', '-cp',
                 '{}/*:{}'.format(library[1], folder), 'software.amazon.kinesis.multilang.MultiLangDaemon',
                 '--properties-file', str(properties)],
                stdout=log, stderr=log, env=environment, start_new_session=True)

    def lines(self):
        return [json.loads(line) for line in self.says.read_text().splitlines()]

    def wait(self, enough):
        end = time.monotonic() + PATIENCE
        while not enough(self.lines()):
            log = self.log.read_text(errors='replace')
            assert self.process.poll() is None, log[-4000:]
            assert time.monotonic() < end, '{}\n{}'.format(self.lines()[-5:], log[-4000:])
            time.sleep(0.1)
        return self.lines()

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@pytest.mark.parametrize('mode', ['POLLING', 'FANOUT'])
def test_the_library_consumes_through_a_reshard(server, name, library, leases, tmp_path, mode):
    kinesis = server.client('kinesis')
    stream = make_stream(server, name)

    def put(numbers):
        records = [{'Data': str(n).encode(), 'PartitionKey': 'k{}'.format(n % 10)} for n in numbers]
        assert kinesis.put_records(StreamName=name, Records=records)['FailedRecordCount'] == 0

    put(range(100))
    worker = Worker(library, leases, server, name, mode, tmp_path)
    try:
        worker.wait(lambda lines: sum('data' in line for line in lines) >= 100)
        kinesis.split_shard(StreamName=name, ShardToSplit='shardId-000000000000', NewStartingHashKey=str(1 << 127))
        kinesis.get_waiter('stream_exists').wait(StreamName=name, WaiterConfig={'Delay': 1})
        put(range(100, 200))
        lines = worker.wait(lambda lines: len({line['data'] for line in lines if 'data' in line}) >= 200)
    finally:
        worker.stop()
    # Each key's records in order, none lost; the parent ended before its children began.
    for key in range(10):
        seen = [int(line['data']) for line in lines if line.get('key') == 'k{}'.format(key)]
        assert seen == list(range(key, 200, 10)), (mode, key, seen)
    marks = [(line['shard'][-1], 'begins' if 'begins' in line else 'ends') for line in lines if 'data' not in line]
    assert marks[:2] == [('0', 'begins'), ('0', 'ends')]
    assert sorted(marks[2:4]) == [('1', 'begins'), ('2', 'begins')]
    consumers = kinesis.list_stream_consumers(StreamARN=stream)['Consumers']
    assert [consumer['ConsumerName'] for consumer in consumers] == ([name] if mode == 'FANOUT' else [])
