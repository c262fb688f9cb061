"""Responses in pieces: InvokeWithResponseStream with boto3, function URLs with a plain HTTP client."""

import base64
import http.client
import json
import shutil
import sys
import time
import urllib.parse

import botocore.exceptions
import pytest

from test_runtimes import make, needs_node, package

# A runtime of its own in plain Python: it does what the event, or the path of a URL, says.
BOOTSTRAP = r'''#!{python}
import base64, http.client, json, os, socket, time
api = os.environ['AWS_LAMBDA_RUNTIME_API']
host, port = api.split(':')

def answer(id, plan, kind):
    s = socket.create_connection((host, int(port)))
    trailer = 'Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body'
    s.sendall(('POST /2018-06-01/runtime/invocation/%s/response HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\n'
               'Lambda-Runtime-Function-Response-Mode: streaming\r\nTransfer-Encoding: chunked\r\nTrailer: %s\r\n\r\n'
               % (id, api, kind, trailer)).encode())
    end = ''
    for what, value in plan:
        if what == 'write':
            data = value.encode()
            s.sendall(b'%x\r\n' % len(data) + data + b'\r\n')
        if what == 'fill':
            for _ in range(value):
                s.sendall(b'100000\r\n' + b'x' * (1 << 20) + b'\r\n')
        if what == 'sleep':
            time.sleep(value)
        if what == 'exit':
            os._exit(value)
        if what == 'fail':
            error = base64.b64encode(json.dumps({{'errorType': value, 'errorMessage': 'half way'}}).encode()).decode()
            end = 'Lambda-Runtime-Function-Error-Type: %s\r\nLambda-Runtime-Function-Error-Body: %s\r\n' % (value, error)
    s.sendall(('0\r\n%s\r\n' % end).encode())
    s.recv(4096)
    s.close()

while True:
    c = http.client.HTTPConnection(api)
    c.request('GET', '/2018-06-01/runtime/invocation/next')
    r = c.getresponse()
    id, event = r.headers['Lambda-Runtime-Aws-Request-Id'], json.loads(r.read())
    if 'rawPath' in event:
        event = json.loads(event['queryStringParameters']['do'])
    print('streams', len(event.get('plan', [])), flush=True)
    if 'plan' in event:
        answer(id, event['plan'], event.get('kind', 'text/plain'))
    elif 'error' in event:
        c.request('POST', '/2018-06-01/runtime/invocation/%s/error' % id, json.dumps({{'errorType': event['error'], 'errorMessage': 'm'}}))
        c.getresponse().read()
    else:
        c.request('POST', '/2018-06-01/runtime/invocation/%s/response' % id, json.dumps({{'whole': event}}))
        c.getresponse().read()
'''


@pytest.fixture(scope='module')
def streamer(server):
    """A function that streams, and its URL's id."""
    # The sandbox shows the system's own programs, and not those of a home directory.
    python = shutil.which('python3', path='/usr/bin:/bin') or sys._base_executable
    make(server, 'streamer', 'provided.al2023', 'h', package({'bootstrap': BOOTSTRAP.format(python=python)}), Timeout=4)
    functions = server.client('lambda')
    url = functions.create_function_url_config(FunctionName='streamer', AuthType='NONE', InvokeMode='RESPONSE_STREAM')
    assert url['InvokeMode'] == 'RESPONSE_STREAM'
    functions.add_permission(
        FunctionName='streamer', StatementId='all', Principal='*', Action='lambda:InvokeFunctionUrl',
        FunctionUrlAuthType='NONE')
    return urllib.parse.urlsplit(url['FunctionUrl']).hostname


def stream(server, event, **more):
    """The pieces with the times they came at, the last event and the head."""
    functions = server.client('lambda')
    answer = functions.invoke_with_response_stream(FunctionName='streamer', Payload=json.dumps(event), **more)
    pieces, end = [], None
    for item in answer['EventStream']:
        assert end is None, 'InvokeComplete comes last'
        if 'PayloadChunk' in item:
            pieces.append((time.monotonic(), item['PayloadChunk']['Payload']))
        else:
            end = item['InvokeComplete']
    return pieces, end, answer


def whole(pieces):
    return b''.join(piece for _, piece in pieces)


def test_pieces_come_as_they_are_written(server, streamer):
    pieces, end, answer = stream(
        server, {'plan': [['write', 'one'], ['sleep', 0.4], ['write', 'two']]}, LogType='Tail')
    assert [piece for _, piece in pieces] == [b'one', b'two']
    assert pieces[1][0] - pieces[0][0] > 0.3
    assert (answer['StatusCode'], answer['ExecutedVersion']) == (200, '$LATEST')
    assert answer['ResponseStreamContentType'] == 'application/vnd.amazon.eventstream'
    assert 'ErrorCode' not in end
    log = base64.b64decode(end['LogResult']).decode()
    assert 'START RequestId: ' in log and 'streams 3\n' in log and 'REPORT RequestId: ' in log


def test_large_responses_and_whole_ones(server, streamer):
    begun = time.monotonic()
    pieces, end, _ = stream(server, {'plan': [['fill', 9]]})
    assert len(whole(pieces)) == 9 << 20 and 'LogResult' not in end and 'ErrorCode' not in end
    # Two megabytes a second follow the first six.
    assert time.monotonic() - begun > 1.4
    pieces, end, _ = stream(server, {'n': 1})
    assert json.loads(whole(pieces)) == {'whole': {'n': 1}} and 'ErrorCode' not in end
    functions = server.client('lambda')
    answer = functions.invoke(FunctionName='streamer', Payload=json.dumps({'plan': [['write', 'a'], ['write', 'b']]}))
    assert answer['Payload'].read() == b'ab' and 'FunctionError' not in answer
    answer = functions.invoke(FunctionName='streamer', Payload=json.dumps({'plan': [['fill', 7]]}))
    assert json.load(answer['Payload'])['errorType'] == 'Function.ResponseSizeTooLarge'


@pytest.mark.parametrize('plan, code, details', [
    ([['write', 'half'], ['fail', 'Sad.Function']], 'Sad.Function', '"errorMessage": "half way"'),
    ([['write', 'half'], ['sleep', 0.1], ['exit', 3]], 'Unhandled', 'Runtime exited with error: exit status 3'),
    ([['write', 'half'], ['sleep', 60]], 'Unhandled', 'Task timed out after 4.00 seconds'),
], ids=['told', 'exit', 'timeout'])
def test_what_ends_half_way_says_so(server, streamer, plan, code, details):
    pieces, end, _ = stream(server, {'plan': plan})
    assert whole(pieces) == b'half'
    assert end['ErrorCode'] == code and details in end['ErrorDetails']


def test_errors_before_the_first_piece(server, streamer):
    pieces, end, answer = stream(server, {'error': 'Broken.Function'})
    assert pieces == [] and end['ErrorCode'] == 'Unhandled'
    assert json.loads(end['ErrorDetails']) == {'errorType': 'Broken.Function', 'errorMessage': 'm'}
    functions = server.client('lambda')

    def refused(**input):
        with pytest.raises(botocore.exceptions.ClientError) as error:
            functions.invoke_with_response_stream(**{'FunctionName': 'streamer', **input})
        return error.value.response['Error']['Code']

    assert refused(FunctionName='nobody') == 'ResourceNotFoundException'
    assert refused(Payload=b'{') == 'InvalidRequestContentException'
    assert refused(Payload=b'"' + b'x' * (6 << 20) + b'"') == 'RequestTooLargeException'
    functions.put_function_concurrency(FunctionName='streamer', ReservedConcurrentExecutions=0)
    assert refused() == 'TooManyRequestsException'
    functions.delete_function_concurrency(FunctionName='streamer')
    dry = functions.invoke_with_response_stream(FunctionName='streamer', InvocationType='DryRun')
    assert dry['StatusCode'] == 204


def ask(server, host, event):
    connection = http.client.HTTPConnection('127.0.0.1', server.port, timeout=20)
    connection.request(
        'GET', '/x?' + urllib.parse.urlencode({'do': json.dumps(event)}), headers={'Host': '{}:{}'.format(host, server.port)})
    return connection.getresponse()


PRELUDE = json.dumps({'statusCode': 201, 'headers': {'Content-Type': 'text/html', 'X-Own': 'yes'}, 'cookies': ['a=b', 'c=d']})
INTEGRATION = 'application/vnd.awslambda.http-integration-response'


def test_a_url_streams(server, streamer):
    answer = ask(server, streamer, {'plan': [['write', 'one'], ['sleep', 0.4], ['write', 'two']]})
    assert (answer.status, answer.headers['content-type']) == (200, 'text/plain')
    assert answer.headers['transfer-encoding'] == 'chunked'
    first = (answer.read(3), time.monotonic())
    rest = (answer.read(), time.monotonic())
    assert (first[0], rest[0]) == (b'one', b'two') and rest[1] - first[1] > 0.3


def test_a_url_takes_status_and_headers_from_the_function(server, streamer):
    plan = [['write', PRELUDE[:20]], ['write', PRELUDE[20:] + '\0\0\0'], ['write', '\0\0\0\0\0body'], ['write', '\0more']]
    answer = ask(server, streamer, {'plan': plan, 'kind': INTEGRATION})
    assert (answer.status, answer.headers['content-type'], answer.headers['x-own']) == (201, 'text/html', 'yes')
    assert answer.headers.get_all('set-cookie') == ['a=b', 'c=d']
    assert answer.read() == b'body\0more'
    assert ask(server, streamer, {'plan': [['write', 'no head']], 'kind': INTEGRATION}).status == 502
    assert ask(server, streamer, {'error': 'Broken.Function'}).status == 502
    answer = ask(server, streamer, {'n': 1})
    assert (answer.status, json.load(answer)) == (200, {'whole': {'n': 1}})


@pytest.mark.parametrize('end', [['exit', 3], ['fail', 'Sad.Function']], ids=['exit', 'told'])
def test_a_url_does_not_pass_a_half_for_the_whole(server, streamer, end):
    answer = ask(server, streamer, {'plan': [['write', 'half'], ['sleep', 0.1], end]})
    assert answer.status == 200
    with pytest.raises(http.client.IncompleteRead) as broken:
        answer.read()
    assert broken.value.partial == b'half'


def test_clients_that_go_leave_the_house_as_it_was(server, streamer):
    answer = ask(server, streamer, {'plan': [['write', 'one'], ['sleep', 0.2], ['fill', 4]]})
    assert answer.read(3) == b'one'
    answer.close()
    functions = server.client('lambda')
    response = functions.invoke_with_response_stream(
        FunctionName='streamer', Payload=json.dumps({'plan': [['write', 'one'], ['sleep', 0.2], ['fill', 4]]}))
    assert next(iter(response['EventStream']))['PayloadChunk']['Payload'] == b'one'
    response['EventStream'].close()
    pieces, end, _ = stream(server, {'plan': [['write', 'still there']]})
    assert whole(pieces) == b'still there' and 'ErrorCode' not in end


NODE = r'''
exports.handler = awslambda.streamifyResponse(async (event, stream, context) => {
  if (event.rawPath) {
    stream = awslambda.HttpResponseStream.from(stream, { statusCode: 203, headers: { 'X-Own': 'yes' }, cookies: ['a=b'] });
  }
  stream.write('one');
  await new Promise((resolve) => setTimeout(resolve, 300));
  if (event.fail) throw new RangeError('half way');
  if (event.late) setTimeout(() => { throw new TypeError('nobody catches it'); }, 1);
  if (event.late) await new Promise(() => {});
  stream.write('two');
  stream.end();
});
'''


@needs_node
def test_node_streams(server, name):
    make(server, name, 'nodejs20.x', 'index.handler', package({'index.js': NODE}))
    functions = server.client('lambda')

    def events(event):
        answer = functions.invoke_with_response_stream(FunctionName=name, Payload=json.dumps(event))
        return [(time.monotonic(), item) for item in answer['EventStream']]

    (first, one), (second, two), (_, end) = events({})
    assert (one['PayloadChunk']['Payload'], two['PayloadChunk']['Payload']) == (b'one', b'two')
    assert second - first > 0.2 and end == {'InvokeComplete': {}}
    end = events({'fail': True})[-1][1]['InvokeComplete']
    assert end['ErrorCode'] == 'RangeError' and json.loads(end['ErrorDetails'])['errorMessage'] == 'half way'
    end = events({'late': True})[-1][1]['InvokeComplete']
    assert end['ErrorCode'] == 'TypeError', end
    functions.create_function_url_config(FunctionName=name, AuthType='NONE', InvokeMode='RESPONSE_STREAM')
    functions.add_permission(
        FunctionName=name, StatementId='all', Principal='*', Action='lambda:InvokeFunctionUrl', FunctionUrlAuthType='NONE')
    host = urllib.parse.urlsplit(functions.get_function_url_config(FunctionName=name)['FunctionUrl']).hostname
    answer = ask(server, host, {})
    assert (answer.status, answer.headers['x-own'], answer.headers['set-cookie']) == (203, 'yes', 'a=b')
    assert answer.read() == b'onetwo'
