"""Functions of every runtime, with real SDKs and real clients of the Runtime API."""

import base64
import io
import json
import os
import pathlib
import shutil
import subprocess
import sys
import zipfile

import pytest

from test_pipeline import TRUST

# Packages that are fetched once and kept between runs.
KEPT = pathlib.Path(os.environ['HEADWATER_RUNTIMES']).parent / 'conformance-packages'

needs_node = pytest.mark.skipif(not shutil.which('node'), reason='node is not installed')
needs_npm = pytest.mark.skipif(not shutil.which('npm'), reason='npm is not installed')
needs_java = pytest.mark.skipif(not shutil.which('javac'), reason='javac is not installed')


def package(files, directory=None, skip=()):
    """A zip of texts or bytes by name, and of a directory."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, 'w', zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = 0o755 << 16
            archive.writestr(info, content)
        for path in sorted(pathlib.Path(directory).rglob('*')) if directory else ():
            inside = path.relative_to(directory)
            if path.is_file() and not any(part in skip for part in inside.parts):
                archive.write(path, inside)
    return out.getvalue()


def make(server, name, runtime, handler, zipped, **more):
    iam, functions = server.client('iam'), server.client('lambda', read_timeout=120)
    name = name.replace('.', '-')
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)['Role']['Arn']
    functions.create_function(FunctionName=name, Role=role, Runtime=runtime, Handler=handler, Code={'ZipFile': zipped},
                              **{'Timeout': 30, 'MemorySize': 512, **more})
    functions.get_waiter('function_active_v2').wait(FunctionName=name, WaiterConfig={'Delay': 1, 'MaxAttempts': 240})

    def invoke(event=None):
        answer = functions.invoke(FunctionName=name, Payload=json.dumps(event or {}), LogType='Tail')
        return answer, json.loads(answer['Payload'].read())

    return invoke


def kept(name, fill):
    """A directory that `fill` makes, once."""
    place = KEPT / name
    if not place.exists():
        fresh = KEPT / '.{}-{}'.format(name, os.urandom(4).hex())
        fresh.mkdir(parents=True)
        fill(fresh)
        try:
            fresh.rename(place)
        except OSError:
            assert place.exists()
            shutil.rmtree(fresh)
    return place


def npm(*packages):
    def fill(place):
        (place / 'package.json').write_text('{"private": true}')
        subprocess.run(['npm', 'install', '--no-audit', '--no-fund', '--loglevel=error', '--ignore-scripts', *packages],
                       cwd=place, check=True, env={**os.environ, 'HOME': str(place)})
        shutil.rmtree(place / '.npm', ignore_errors=True)
    return fill


@needs_node
@pytest.mark.parametrize('runtime', ['nodejs18.x', 'nodejs20.x', 'nodejs22.x', 'nodejs24.x', 'nodejs6.10', 'nodejs'])
def test_node(server, name, runtime):
    invoke = make(server, name, runtime, 'index.handler', package({'index.js': '''
exports.handler = async (event, context) => {
  console.log('saw', event);
  if (event.fail) throw new TypeError(event.fail);
  return { got: event, name: context.functionName, left: context.getRemainingTimeInMillis() > 0 };
};
'''}))
    answer, body = invoke({'a': [1]})
    assert 'FunctionError' not in answer
    assert body == {'got': {'a': [1]}, 'name': name.replace('.', '-'), 'left': True}
    answer, body = invoke({'fail': 'no'})
    assert answer['FunctionError'] == 'Unhandled'
    assert (body['errorType'], body['errorMessage']) == ('TypeError', 'no') and body['trace']


@needs_node
@needs_npm
def test_node_with_an_old_sdk(server, name):
    """aws-sdk v2 knows no AWS_ENDPOINT_URL: the runtime tells it."""
    modules = kept('aws-sdk-2', npm('aws-sdk@2.1693.0'))
    queue = server.client('sqs').create_queue(QueueName=name)['QueueUrl']
    zipped = package({'index.js': '''
const AWS = require('aws-sdk');
const Kinesis = require('aws-sdk/clients/kinesis');
exports.handler = (event, context, callback) => {
  const sqs = new AWS.SQS({ region: process.env.AWS_REGION });
  sqs.sendMessage({ QueueUrl: event.queue, MessageBody: 'from v2' }, (error) => {
    if (error) return callback(error);
    new Kinesis().listStreams({}, (error, data) => callback(error, { streams: Array.isArray(data?.StreamNames) }));
  });
};
'''}, modules, skip=('dist', 'dist-tools', '.bin'))
    answer, body = make(server, name, 'nodejs16.x', 'index.handler', zipped)({'queue': queue})
    assert body == {'streams': True}, body
    message = server.client('sqs').receive_message(QueueUrl=queue, WaitTimeSeconds=5)['Messages'][0]
    assert message['Body'] == 'from v2'


@needs_node
@needs_npm
def test_node_with_the_new_sdk(server, name):
    modules = kept('aws-sdk-3', npm('@aws-sdk/client-sts@3.600.0'))
    answer, body = make(server, name, 'nodejs20.x', 'index.handler', package({'index.mjs': '''
import { STSClient, GetCallerIdentityCommand } from '@aws-sdk/client-sts';
const sts = new STSClient({});
export const handler = async () => (await sts.send(new GetCallerIdentityCommand({}))).Arn;
'''}, modules, skip=('dist-types', '.bin')))({})
    assert body == 'arn:aws:sts::000000000000:assumed-role/{0}/{0}'.format(name.replace('.', '-'))


@pytest.mark.parametrize('runtime', ['python3.13', 'python3.6', 'python2.7'])
def test_python_with_an_old_sdk(server, name, runtime):
    """boto3 before 1.28 knows no AWS_ENDPOINT_URL: the runtime tells it."""
    def fill(place):
        subprocess.run([sys.executable, '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--target',
                        str(place), 'boto3==1.20.54', 'botocore==1.23.54'], check=True)
    zipped = package({'handler.py': '''
import boto3
client = boto3.client('sts')
def handler(event, context):
    return [boto3.__version__, client.get_caller_identity()['Arn'], boto3.client('sqs', endpoint_url='http://x:1').meta.endpoint_url]
'''}, kept('boto3-1.20', fill), skip=('__pycache__', 'bin', 'ec2', 'iot'))
    answer, body = make(server, name, runtime, 'handler.handler', zipped)({})
    assert body == ['1.20.54', 'arn:aws:sts::000000000000:assumed-role/{0}/{0}'.format(name.replace('.', '-')), 'http://x:1'], body


def test_names_that_lambda_never_had_are_refused(server, name):
    functions = server.client('lambda')
    def refused(runtime):
        with pytest.raises(functions.exceptions.ClientError) as caught:
            make(server, name + str(len(runtime)), runtime, 'h.h', package({'h.py': ''}))
        return caught.value.response['Error']
    error = refused('python9.9')
    assert error['Code'] in ('ValidationException', 'InvalidParameterValueException'), error
    assert 'python9.9' in error['Message']
    assert 'ruby3.3' in refused('ruby3.3')['Message'], 'what is not served is refused by name'


def test_who_stands_in_is_said(server, name):
    answer, body = make(server, name, 'python2.7', 'handler.handler', package({'handler.py': '''
import sys
def handler(event, context):
    return sys.version_info[0]
'''}))({})
    assert body == 3
    logged = server.log.read_text()
    assert 'functions of runtime python2.7 run on python3.' in logged and name.replace('.', '-') in logged


@needs_java
def test_java(server, name, tmp_path):
    (tmp_path / 'Hello.java').write_text('''
import java.util.*;
public class Hello {
    private int calls = 0;
    public Map<String, Object> greet(Map<String, Object> event) {
        if (event.containsKey("fail")) throw new IllegalArgumentException((String) event.get("fail"));
        System.out.println("greeting");
        return Map.of("hello", event.get("name"), "calls", ++calls);
    }
}
''')
    subprocess.run(['javac', '-d', str(tmp_path / 'out'), str(tmp_path / 'Hello.java')], check=True)
    invoke = make(server, name, 'java17', 'Hello::greet', package({}, tmp_path / 'out'))
    assert invoke({'name': 'wörld'})[1] == {'hello': 'wörld', 'calls': 1}
    assert invoke({'name': 'again'})[1] == {'hello': 'again', 'calls': 2}
    answer, body = invoke({'fail': 'no'})
    assert answer['FunctionError'] == 'Unhandled'
    assert (body['errorType'], body['errorMessage']) == ('java.lang.IllegalArgumentException', 'no')


@pytest.mark.skipif(not shutil.which('curl'), reason='curl is not installed')
@pytest.mark.parametrize('runtime', ['provided', 'provided.al2', 'provided.al2023'])
def test_a_shell_script_as_runtime(server, name, runtime):
    answer, body = make(server, name, runtime, 'any', package({'bootstrap': '''#!/bin/sh
set -eu
api=http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation
while true; do
  event=$(curl -sS -D "$TMPDIR/head" "$api/next")
  id=$(grep -i '^lambda-runtime-aws-request-id:' "$TMPDIR/head" | tr -d '[:space:]' | cut -d: -f2)
  curl -sS -o /dev/null -d "{\\"shell\\": $event}" "$api/$id/response"
done
'''}))({'n': 1})
    assert body == {'shell': {'n': 1}}


@pytest.mark.skipif('CARGO' not in os.environ, reason='cargo did not start this')
def test_the_official_runtime_for_rust(server, name):
    crate = pathlib.Path(__file__).parent / 'rust_function'
    target = KEPT.parent / 'conformance-rust'
    # The cargo that started this has said much about the house's own build.
    clean = {key: value for key, value in os.environ.items()
             if not key.startswith(('CARGO_PKG', 'CARGO_MANIFEST', 'CARGO_BIN', 'RUSTFLAGS'))}
    clean['PATH'] = '{}:{}'.format(pathlib.Path(os.environ['CARGO']).parent, clean['PATH'])
    subprocess.run([os.environ['CARGO'], 'build', '--quiet', '--locked', '--manifest-path', str(crate / 'Cargo.toml'),
                    '--target-dir', str(target)], check=True, env=clean)
    binary = (target / 'debug' / 'bootstrap').read_bytes()
    invoke = make(server, name, 'provided.al2023', 'any', package({'bootstrap': binary}))
    answer, body = invoke({'a': 1})
    assert body['got'] == {'a': 1} and body['arn'].endswith(':function:' + name)
    answer, body = invoke({'fail': 'indeed'})
    assert answer['FunctionError'] == 'Unhandled' and body['errorMessage'] == 'indeed'


def test_the_first_invocation_finds_a_process_started_ahead(server, name, until):
    invoke = make(server, name, 'python3.12', 'handler.handler', package({'handler.py': '''
import time
began = time.time()
def handler(event, context):
    return time.time() - began
'''}))
    status = lambda: [f for f in server.own('status')['functions'] if f["name"] == name][0]
    until(lambda: status()['processes'] == 1)
    answer, body = invoke()
    assert status()['processes'] == 1, 'it is that process which was used'
    tail = base64.b64decode(answer['LogResult']).decode()
    assert 'Init Duration: ' in tail, tail
