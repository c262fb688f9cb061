"""Invoke in every form with boto3: what is asked, what is answered, what is refused, and in which words."""

import base64
import json
import time

import botocore.exceptions
import pytest

from test_pipeline import make_function

# It does what the event says.
PUPPET = '''
import json, os, sys, time
class OwnError(Exception):
    pass
def handler(event, context):
    do = event.get('do') if isinstance(event, dict) else None
    if do == 'fail':
        raise OwnError('as told')
    if do == 'exit':
        os._exit(event['code'])
    if do == 'sleep':
        time.sleep(event['seconds'])
    if do == 'large':
        return 'x' * event['size']
    if do == 'print':
        for number in range(event['lines']):
            print('line %05d of many' % number)
    if do == 'bad':
        return {1, 2}
    if do == 'context':
        client = context.client_context
        return {
            'id': context.aws_request_id, 'arn': context.invoked_function_arn, 'version': context.function_version,
            'custom': client.custom if client else None, 'memory': context.memory_limit_in_mb,
            'group': context.log_group_name, 'left': context.get_remaining_time_in_millis(),
        }
    return event
'''


@pytest.fixture(scope='module')
def functions(server):
    """A client, and the function it is for: `$LATEST`, version 1, and the alias `live`."""
    functions = make_function(server, 'invoked', PUPPET, Timeout=2)
    functions.publish_version(FunctionName='invoked')
    functions.create_alias(FunctionName='invoked', Name='live', FunctionVersion='1')
    return functions


def invoke(functions, event=None, **more):
    payload = {} if event is None else {'Payload': event if isinstance(event, bytes) else json.dumps(event)}
    answer = functions.invoke(**{'FunctionName': 'invoked', **payload, **more})
    body = answer['Payload'].read()
    return answer, json.loads(body) if body else None


def refused(functions, **input):
    with pytest.raises(botocore.exceptions.ClientError) as error:
        functions.invoke(**{'FunctionName': 'invoked', **input})
    response = error.value.response
    return response['ResponseMetadata']['HTTPStatusCode'], response['Error']['Code'], response['Error']['Message']


@pytest.mark.parametrize('event', [None, {}, {'a': [1, None, 'ü']}, 'text', 1.5, [], None, True], ids=str)
def test_any_json_goes_there_and_back(functions, event):
    answer, body = invoke(functions, event)
    assert body == ({} if event is None else event)
    assert (answer['StatusCode'], answer['ExecutedVersion']) == (200, '$LATEST')
    assert 'FunctionError' not in answer and 'LogResult' not in answer


def test_null_is_an_event_too(functions):
    assert invoke(functions, b'null')[1] is None


def test_names_and_qualifiers(functions):
    arn = functions.get_function(FunctionName='invoked')['Configuration']['FunctionArn']
    account = arn.split(':')[4]
    for name, qualifier, version, seen in [
        ('invoked', None, '$LATEST', arn),
        (arn, None, '$LATEST', arn),
        (account + ':function:invoked', None, '$LATEST', arn),
        ('invoked', '$LATEST', '$LATEST', arn + ':$LATEST'),
        ('invoked', '1', '1', arn + ':1'),
        ('invoked:1', None, '1', arn + ':1'),
        (arn + ':live', None, '1', arn + ':live'),
        ('invoked', 'live', '1', arn + ':live'),
        ('invoked:live', 'live', '1', arn + ':live'),
    ]:
        more = {'Qualifier': qualifier} if qualifier else {}
        answer, body = invoke(functions, {'do': 'context'}, FunctionName=name, **more)
        assert (answer['ExecutedVersion'], body['version'], body['arn']) == (version, version, seen), name
        assert body['id'] == answer['ResponseMetadata']['RequestId']
        assert body['group'] == '/aws/lambda/invoked' and 0 < body['left'] <= 2000
    assert refused(functions, Qualifier='2')[:2] == (404, 'ResourceNotFoundException')
    status, code, message = refused(functions, FunctionName='nobody')
    assert (status, code) == (404, 'ResourceNotFoundException')
    assert message == 'Function not found: ' + arn.replace('invoked', 'nobody')
    assert refused(functions, FunctionName='invoked:1', Qualifier='live')[1] == 'InvalidParameterValueException'
    assert refused(functions, FunctionName=arn.replace('us-east-1', 'eu-west-1'))[1] == 'ResourceNotFoundException'


def test_the_client_context_reaches_the_function(functions):
    context = base64.b64encode(json.dumps({'custom': {'k': 'v'}}).encode()).decode()
    assert invoke(functions, {'do': 'context'}, ClientContext=context)[1]['custom'] == {'k': 'v'}
    assert refused(functions, ClientContext='no json')[1] == 'InvalidRequestContentException'


def test_errors_have_their_shape(functions):
    answer, body = invoke(functions, {'do': 'fail'})
    assert (answer['StatusCode'], answer['FunctionError']) == (200, 'Unhandled')
    assert (body['errorType'], body['errorMessage']) == ('OwnError', 'as told')
    assert body['requestId'] == answer['ResponseMetadata']['RequestId']
    assert 'in handler' in body['stackTrace'][-1]
    answer, body = invoke(functions, {'do': 'bad'})
    assert (answer['FunctionError'], body['errorType']) == ('Unhandled', 'Runtime.MarshalError')
    answer, body = invoke(functions, {'do': 'exit', 'code': 7})
    assert (answer['StatusCode'], answer['FunctionError']) == (200, 'Unhandled')
    request = answer['ResponseMetadata']['RequestId']
    assert body == {
        'errorType': 'Runtime.ExitError',
        'errorMessage': 'RequestId: {} Error: Runtime exited with error: exit status 7'.format(request)}


def test_a_timeout_is_told(functions):
    begun = time.monotonic()
    answer, body = invoke(functions, {'do': 'sleep', 'seconds': 30}, LogType='Tail')
    assert 2 <= time.monotonic() - begun < 10
    assert (answer['StatusCode'], answer['FunctionError']) == (200, 'Unhandled')
    assert body['errorType'] == 'Sandbox.Timedout'
    assert body['errorMessage'].endswith('Error: Task timed out after 2.00 seconds')
    log = base64.b64decode(answer['LogResult']).decode()
    assert 'Task timed out after 2.00 seconds' in log and log.rstrip().endswith('Status: timeout')


def test_the_tail_of_the_log_is_its_last_four_kilobytes(functions):
    answer, _ = invoke(functions, {'do': 'print', 'lines': 1000}, LogType='Tail')
    log = base64.b64decode(answer['LogResult']).decode()
    assert 3900 < len(log) <= 4096
    assert 'line 00999 of many\nEND RequestId: ' in log and 'line 00000' not in log
    assert '\tMemory Size: 128 MB\tMax Memory Used: ' in log
    assert 'LogResult' not in invoke(functions, {}, LogType='None')[0]


def test_payloads_have_limits(functions):
    most = 6 << 20
    text = b'"' + b'x' * (most - 2) + b'"'
    assert invoke(functions, text)[1] == 'x' * (most - 2)
    status, code, message = refused(functions, Payload=text + b' ')
    assert (status, code) == (413, 'RequestTooLargeException')
    assert message == '6291457 byte payload is too large for the RequestResponse invocation type (limit 6291456 bytes)'
    status, code, message = refused(functions, Payload=b'"' + b'x' * (1 << 20) + b'"', InvocationType='Event')
    assert (status, code) == (413, 'RequestTooLargeException')
    assert message == '1048578 byte payload is too large for the Event invocation type (limit 1048576 bytes)'
    answer, body = invoke(functions, {'do': 'large', 'size': most + 1000})
    assert (answer['FunctionError'], body['errorType']) == ('Unhandled', 'Function.ResponseSizeTooLarge')
    assert body['errorMessage'] == 'Response payload size exceeded maximum allowed payload size (6291556 bytes).'
    assert refused(functions, Payload=b'{"a":')[:2] == (400, 'InvalidRequestContentException')


def test_a_dry_run_runs_nothing(functions):
    answer, body = invoke(functions, {'do': 'exit', 'code': 1}, InvocationType='DryRun')
    assert (answer['StatusCode'], body) == (204, None)
    assert refused(functions, FunctionName='nobody', InvocationType='DryRun')[1] == 'ResourceNotFoundException'


def test_an_event_is_taken_and_told_of(server, functions, until):
    sqs = server.client('sqs')
    url = sqs.create_queue(QueueName='invoked-told')['QueueUrl']
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=['QueueArn'])['Attributes']['QueueArn']
    functions.put_function_event_invoke_config(
        FunctionName='invoked', Qualifier='live', MaximumRetryAttempts=0,
        DestinationConfig={'OnSuccess': {'Destination': arn}, 'OnFailure': {'Destination': arn}})

    def told():
        answer = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1)
        for message in answer.get('Messages', []):
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message['ReceiptHandle'])
            return json.loads(message['Body'])

    for event, condition in [({'n': 1}, 'Success'), ({'do': 'fail'}, 'RetriesExhausted')]:
        answer, body = invoke(functions, event, InvocationType='Event', Qualifier='live')
        assert (answer['StatusCode'], body) == (202, None)
        assert 'ExecutedVersion' not in answer
        record = until(told)
        assert record['requestContext']['condition'] == condition
        assert record['requestContext']['requestId'] == answer['ResponseMetadata']['RequestId']
        assert record['requestContext']['approximateInvokeCount'] == 1
        assert (record['requestPayload'], record['responseContext']['executedVersion']) == (event, '1')
    assert record['responsePayload']['errorType'] == 'OwnError'


def test_what_is_too_much_at_once_is_refused(functions):
    functions.put_function_concurrency(FunctionName='invoked', ReservedConcurrentExecutions=0)
    with pytest.raises(functions.exceptions.TooManyRequestsException) as error:
        functions.invoke(FunctionName='invoked')
    assert error.value.response['Reason'] == 'ReservedFunctionConcurrentInvocationLimitExceeded'
    assert error.value.response['Error']['Message'] == 'Rate Exceeded.'
    functions.delete_function_concurrency(FunctionName='invoked')
    assert invoke(functions, 1)[1] == 1
