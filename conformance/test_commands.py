"""Our own commands against a running server, as a shell calls them."""

import os
import subprocess
import urllib.error

import pytest
from conftest import BINARY


def run(*arguments, **environment):
    done = subprocess.run(
        [BINARY, *arguments], capture_output=True, text=True, timeout=60, env={**os.environ, **environment})
    return done.returncode, done.stdout, done.stderr


def test_a_server_with_tls_is_asked_with_its_authority(fresh, tls):
    server = fresh('--tls-cert', str(tls / 'cert.pem'), '--tls-key', str(tls / 'key.pem'), authority=str(tls / 'ca.pem'))
    code, shown, _ = run('status', '--endpoint', server.endpoint, AWS_CA_BUNDLE=str(tls / 'ca.pem'))
    assert code == 0 and shown.startswith('headwater ')
    code, _, why = run('status', '--endpoint', server.endpoint, AWS_CA_BUNDLE='')
    assert code == 1 and '--ca-bundle FILE' in why, why
    code, _, why = run('status', '--endpoint', server.endpoint, '--ca-bundle', str(tls / 'key.pem'))
    assert code == 1 and 'holds no certificate' in why, why


def test_a_reader_that_has_enough_is_no_error(server):
    # It has gone before the first line comes.
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [BINARY, 'status', '--endpoint', server.endpoint], stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60)
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (0, '')
    code, _, why = run('plan', '--records', '-5')
    assert code == 2 and 'above zero' in why


def test_any_log_group_is_followed(server, name):
    logs = server.client('logs')
    logs.create_log_group(logGroupName=name)
    code, lines, why = run('tail', '--once', name, '--endpoint', server.endpoint)
    assert (code, lines) == (0, ''), why
    for query in ('from=0', 'from=end', 'wait=0'):
        assert server.own('tail?what={}&{}'.format(name, query))['lines'] == []
    for query in ('from=bogus', 'from=1=x', 'wait=soon', 'where=here'):
        with pytest.raises(urllib.error.HTTPError) as refused:
            server.own('tail?what={}&{}'.format(name, query))
        assert refused.value.code == 400, query
    code, _, why = run('tail', '--once', name + '-none', '--endpoint', server.endpoint)
    assert code == 1 and 'no stream and no log group' in why


def test_what_is_no_headwater_is_told(server):
    code, _, why = run('status', '--endpoint', server.endpoint + '/elsewhere')
    assert code == 1 and 'is it a Headwater server?' in why, why
