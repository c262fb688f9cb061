"""Starts the server that the tests ask, and hands out clients that point at it."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.request

import boto3
import botocore.exceptions
import pytest
from botocore.config import Config

BINARY = os.environ['HEADWATER_BINARY']
RUNTIMES = os.environ['HEADWATER_RUNTIMES']
# What is run by Node.js, and where it is kept between runs.
CLIENTS = pathlib.Path(sys.prefix).parent / 'node-clients'
JAVASCRIPT = ['@aws-sdk/client-kinesis@3.1143.0', 'sns-validator@0.3.5']


def free_port():
    with contextlib.closing(socket.socket()) as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


class Server:
    """A `headwater serve` on a data directory of its own."""

    def __init__(self, data_dir, *extra, ready=True, authority=None):
        self.data_dir, self.extra = pathlib.Path(data_dir), extra
        self.port = free_port()
        # Who vouches for the server's certificate, where it has one.
        self.authority = authority
        self.trust = ssl.create_default_context(cafile=authority) if authority else None
        self.endpoint = '{}://127.0.0.1:{}'.format('https' if authority else 'http', self.port)
        self.log = self.data_dir.parent / '{}.log'.format(self.data_dir.name)
        self.process = None
        # What comes before the program, such as one that starts it as another user.
        self.command = []
        if ready:
            self.start()

    def start(self):
        with open(self.log, 'ab') as log:
            self.process = subprocess.Popen(
                [*self.command, BINARY, 'serve', '--listen', '127.0.0.1:{}'.format(self.port), '--data-dir', str(self.data_dir),
                 '--runtimes', RUNTIMES, *self.extra], stderr=log)
        end = time.monotonic() + 30
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise RuntimeError('the server ended: ' + self.log.read_text()[-4000:])
            with contextlib.suppress(OSError):
                with urllib.request.urlopen(self.endpoint + '/_headwater/health', timeout=5, context=self.trust) as answer:
                    if answer.status == 200:
                        return
            time.sleep(0.01)
        raise RuntimeError('the server is not ready: ' + self.log.read_text()[-4000:])

    def kill(self):
        """As a crash would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            return self.process.wait(timeout=60)
        return None

    def client(self, service, key='test', secret='test', token=None, region='us-east-1', **config):
        return boto3.client(
            service, endpoint_url=self.endpoint, region_name=region, aws_access_key_id=key,
            aws_secret_access_key=secret, aws_session_token=token, verify=self.authority,
            config=Config(retries={'total_max_attempts': 1}, **config))

    def own(self, route):
        with urllib.request.urlopen(self.endpoint + '/_headwater/' + route, timeout=30, context=self.trust) as answer:
            return json.load(answer)


@pytest.fixture(scope='session')
def server(tmp_path_factory):
    """One server for all tests that do not crash theirs."""
    running = Server(tmp_path_factory.mktemp('shared') / 'data')
    yield running
    assert running.stop() == 0, 'SIGTERM drains and exits 0'


@pytest.fixture
def fresh(tmp_path):
    """Makes servers on fresh data directories; all are stopped at the end."""
    made = []

    def make(*extra, name='data', **more):
        made.append(Server(tmp_path / name, *extra, **more))
        return made[-1]

    yield make
    for running in made:
        if running.process.poll() is None:
            running.process.kill()
            running.process.wait()


@pytest.fixture(scope='session')
def tls(tmp_path_factory):
    """An authority, and a certificate for this machine: `ca.pem`, `cert.pem`, `key.pem`."""
    folder = tmp_path_factory.mktemp('tls') / 'tls'
    subprocess.run([BINARY, 'tls-init', '--dir', str(folder)], check=True, capture_output=True)
    return folder


@pytest.fixture(scope='session')
def javascript():
    """Packages for Node.js, fetched once."""
    if not shutil.which('npm'):
        pytest.skip('there is no npm on this machine')
    marker = CLIENTS / 'installed'
    if not marker.exists() or marker.read_text() != ' '.join(JAVASCRIPT):
        CLIENTS.mkdir(exist_ok=True)
        subprocess.run(
            ['npm', 'install', '--no-audit', '--no-fund', '--silent', '--prefix', str(CLIENTS), *JAVASCRIPT], check=True)
        marker.write_text(' '.join(JAVASCRIPT))
    return CLIENTS


@pytest.fixture
def name(request):
    """A name no other test uses."""
    return request.node.name.replace('[', '-').replace(']', '').replace('_', '-')[:40] + '-' + os.urandom(3).hex()


def lets_in(*services, action='sqs:SendMessage'):
    """The policy of a resource that lets services act: without one they do not come in."""
    principal = {'Service': ['{}.amazonaws.com'.format(service) for service in services]}
    statement = {'Effect': 'Allow', 'Principal': principal, 'Action': action, 'Resource': '*'}
    return json.dumps({'Version': '2012-10-17', 'Statement': statement})


def make_role(server, name, *services):
    """A role that services may take on."""
    principal = {'Service': ['{}.amazonaws.com'.format(service) for service in services]}
    statement = {'Effect': 'Allow', 'Principal': principal, 'Action': 'sts:AssumeRole'}
    document = json.dumps({'Version': '2012-10-17', 'Statement': statement})
    return server.client('iam').create_role(RoleName=name, AssumeRolePolicyDocument=document)['Role']['Arn']


def until(look, patience=20):
    """Looks again and again until there is something to see."""
    end = time.monotonic() + patience
    while True:
        try:
            found = look()
        except botocore.exceptions.ClientError as error:
            # Looking more often than AWS lets anybody look is no news.
            if error.response['Error']['Code'] != 'LimitExceededException':
                raise
            found = None
        if found:
            return found
        assert time.monotonic() < end, 'nothing within {} s'.format(patience)
        time.sleep(0.02)


@pytest.fixture(name='until')
def until_fixture():
    return until
