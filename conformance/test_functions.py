"""The control plane of functions with boto3: versions, aliases, concurrency, tags, events and where their ends are told."""

import base64
import hashlib
import io
import json
import shutil
import urllib.error
import urllib.request
import zipfile

import botocore.exceptions
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from test_pipeline import TRUST, make_function, package

WHO = '''
import os
def handler(event, context):
    return [context.function_version, context.invoked_function_arn.split(':function:')[1], os.environ.get('COLOR')]
'''


def refused(call, *args, **kwargs):
    with pytest.raises(botocore.exceptions.ClientError) as error:
        call(*args, **kwargs)
    return error.value.response['Error']


def run(functions, name, payload=None, **more):
    answer = functions.invoke(FunctionName=name, Payload=json.dumps(payload), **more)
    return json.loads(answer['Payload'].read())


def hear(sqs, url, until):
    got = []

    def look():
        messages = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1, MessageAttributeNames=['All'])
        got.extend(messages.get('Messages', []))
        return got
    until(look)
    return got[0]


def make_queue(server, name):
    sqs = server.client('sqs')
    url = sqs.create_queue(QueueName=name)['QueueUrl']
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=['QueueArn'])['Attributes']['QueueArn']
    return sqs, url, arn


def test_versions_and_aliases(server, name):
    functions = make_function(server, name, WHO, Environment={'Variables': {'COLOR': 'blue'}})
    one = functions.publish_version(FunctionName=name, Description='first')
    assert (one['Version'], one['Description']) == ('1', 'first')
    assert one['FunctionArn'].endswith(':function:{}:1'.format(name))
    functions.update_function_configuration(FunctionName=name, Environment={'Variables': {'COLOR': 'green'}})
    functions.get_waiter('function_updated_v2').wait(FunctionName=name)
    code = functions.update_function_code(FunctionName=name, ZipFile=package(WHO + '# new'), Publish=True)
    assert code['Version'] == '2'
    functions.get_waiter('published_version_active').wait(FunctionName=name, Qualifier='2')
    alias = functions.create_alias(FunctionName=name, Name='live', FunctionVersion='1')
    assert run(functions, name) == ['$LATEST', name, 'green']
    assert run(functions, name, Qualifier='live') == ['1', name + ':live', 'blue']
    assert run(functions, alias['AliasArn']) == ['1', name + ':live', 'blue']
    functions.update_alias(FunctionName=name, Name='live', RoutingConfig={'AdditionalVersionWeights': {'2': 0.5}})
    seen = {functions.invoke(FunctionName=name, Qualifier='live')['ExecutedVersion'] for _ in range(40)}
    assert seen == {'1', '2'}
    assert refused(functions.delete_function, FunctionName=name, Qualifier='1')['Code'] == 'ResourceConflictException'
    functions.delete_alias(FunctionName=name, Name='live')
    functions.delete_function(FunctionName=name, Qualifier='1')
    assert refused(functions.invoke, FunctionName=name, Qualifier='1')['Code'] == 'ResourceNotFoundException'
    pages = functions.get_paginator('list_versions_by_function').paginate(
        FunctionName=name, PaginationConfig={'PageSize': 1})
    assert [v['Version'] for page in pages for v in page['Versions']] == ['$LATEST', '2']
    everything = functions.get_paginator('list_functions').paginate(FunctionVersion='ALL')
    assert sorted(f['Version'] for page in everything for f in page['Functions'] if f['FunctionName'] == name) == \
        ['$LATEST', '2']


def test_concurrency_and_tags(server, name):
    functions = make_function(server, name, WHO, Tags={'team': 'blue'})
    arn = functions.get_function(FunctionName=name)['Configuration']['FunctionArn']
    functions.tag_resource(Resource=arn, Tags={'stage': 'test'})
    functions.untag_resource(Resource=arn, TagKeys=['team'])
    assert functions.list_tags(Resource=arn)['Tags'] == {'stage': 'test'}
    functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    error = refused(functions.invoke, FunctionName=name)
    assert error['Code'] == 'TooManyRequestsException'
    with pytest.raises(functions.exceptions.TooManyRequestsException) as caught:
        functions.invoke(FunctionName=name)
    assert caught.value.response['Reason'] == 'ReservedFunctionConcurrentInvocationLimitExceeded'
    assert functions.get_function(FunctionName=name)['Concurrency'] == {'ReservedConcurrentExecutions': 0}
    functions.delete_function_concurrency(FunctionName=name)
    assert run(functions, name)[0] == '$LATEST'
    assert functions.get_account_settings()['AccountLimit']['ConcurrentExecutions'] == 1000


def test_an_event_is_told_of_where_it_is_wanted(server, name, until):
    functions = make_function(server, name, '''
def handler(event, context):
    if event['fail']: raise ValueError('as told')
    return {'did': event}
''')
    sqs, good, good_arn = make_queue(server, name + '-good')
    _, bad, bad_arn = make_queue(server, name + '-bad')
    _, dead, dead_arn = make_queue(server, name + '-dead')
    functions.update_function_configuration(FunctionName=name, DeadLetterConfig={'TargetArn': dead_arn})
    put = functions.put_function_event_invoke_config(
        FunctionName=name, MaximumRetryAttempts=0, MaximumEventAgeInSeconds=60,
        DestinationConfig={'OnSuccess': {'Destination': good_arn}, 'OnFailure': {'Destination': bad_arn}})
    assert put['FunctionArn'].endswith(':$LATEST')
    assert functions.invoke(FunctionName=name, InvocationType='Event', Payload='{"fail": false}')['StatusCode'] == 202
    told = json.loads(hear(sqs, good, until)['Body'])
    assert told['requestContext']['condition'] == 'Success'
    assert told['responsePayload'] == {'did': {'fail': False}}
    functions.invoke(FunctionName=name, InvocationType='Event', Payload='{"fail": true}')
    told = json.loads(hear(sqs, bad, until)['Body'])
    assert told['requestContext']['condition'] == 'RetriesExhausted'
    assert told['responsePayload']['errorType'] == 'ValueError'
    letter = hear(sqs, dead, until)
    assert json.loads(letter['Body']) == {'fail': True}
    assert letter['MessageAttributes']['ErrorCode']['StringValue'] == '200'
    assert letter['MessageAttributes']['ErrorMessage']['StringValue'] == 'as told'
    assert letter['MessageAttributes']['RequestID']['StringValue'] == told['requestContext']['requestId']
    functions.delete_function_event_invoke_config(FunctionName=name)
    assert refused(functions.get_function_event_invoke_config, FunctionName=name)['Code'] == 'ResourceNotFoundException'


def test_a_function_that_sends_to_its_own_queue_is_stopped(server, name, until):
    sqs, url, arn = make_queue(server, name)
    _, told, _ = make_queue(server, name + '-told')
    functions = make_function(server, name, '''
import boto3, os
sqs = boto3.client('sqs')
def handler(event, context):
    sqs.send_message(QueueUrl=os.environ['TOLD'], MessageBody='again')
    boto3.client('lambda').invoke(FunctionName=context.function_name, InvocationType='Event', Payload='{}')
''', Environment={'Variables': {'TOLD': told}})
    functions.invoke(FunctionName=name, InvocationType='Event', Payload='{}')

    def count():
        attributes = sqs.get_queue_attributes(QueueUrl=told, AttributeNames=['ApproximateNumberOfMessages'])
        return int(attributes['Attributes']['ApproximateNumberOfMessages'])
    until(lambda: count() == 16, patience=60)
    def dropped():
        with urllib.request.urlopen(server.endpoint + '/_headwater/metrics', timeout=30) as answer:
            return 'recursiveinvocationsdropped_count{FunctionName="%s"' % name in answer.read().decode()
    until(dropped)
    assert count() == 16


def test_a_function_that_feeds_its_own_queue_is_stopped(server, name, until):
    sqs, _, dead = make_queue(server, name + '-dead')
    dead_url = sqs.get_queue_url(QueueName=name + '-dead')['QueueUrl']
    _, url, arn = make_queue(server, name)
    sqs.set_queue_attributes(QueueUrl=url, Attributes={
        'VisibilityTimeout': '3', 'RedrivePolicy': json.dumps({'deadLetterTargetArn': dead, 'maxReceiveCount': 1})})
    functions = make_function(server, name, '''
import boto3, os
sqs = boto3.client('sqs')
def handler(event, context):
    for record in event['Records']:
        sqs.send_message(QueueUrl=os.environ['URL'], MessageBody=str(int(record['body']) + 1))
''', Timeout=3, Environment={'Variables': {'URL': url}})
    mapping = functions.create_event_source_mapping(FunctionName=name, EventSourceArn=arn, BatchSize=1)
    sqs.send_message(QueueUrl=url, MessageBody='1')

    def stopped():
        return sqs.receive_message(QueueUrl=dead_url).get('Messages')
    (message,) = until(stopped, patience=60)
    # The sixteenth invocation is the last: what that sent is not handed over.
    assert message['Body'] == '17'
    functions.delete_event_source_mapping(UUID=mapping['UUID'])


def test_code_can_be_had_by_its_link(server, name):
    functions = make_function(server, name, WHO)
    asked = functions.get_function(FunctionName=name)
    code, configuration = asked['Code'], asked['Configuration']
    assert code['RepositoryType'] == 'S3'
    with urllib.request.urlopen(code['Location'], timeout=30) as answer:
        body = answer.read()
    assert base64.b64encode(hashlib.sha256(body).digest()).decode() == configuration['CodeSha256']
    assert zipfile.ZipFile(io.BytesIO(body)).read('handler.py').decode() == WHO
    for bad in [code['Location'].replace('signature=', 'signature=0'), code['Location'].split('?')[0]]:
        with pytest.raises(urllib.error.HTTPError) as error:
            urllib.request.urlopen(bad, timeout=30)
        assert error.value.code == 403
    assert configuration['RuntimeVersionConfig']['RuntimeVersionArn'].startswith('arn:aws:lambda:us-east-1::runtime:')
    missing = server.own('status')['sandbox']['missing']
    assert all(why in configuration.get('StateReason', '') for why in missing)


def test_a_package_of_many_files_is_there_soon(server, name):
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, 'w') as archive:
        archive.writestr('handler.py', 'import os\ndef handler(event, context): return len(os.listdir("many"))')
        for number in range(20_000):
            archive.writestr('many/{}.txt'.format(number), str(number))
    role = server.client('iam').create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)['Role']['Arn']
    functions = server.client('lambda', read_timeout=30)
    functions.create_function(
        FunctionName=name, Role=role, Runtime='python3.11', Handler='handler.handler', Code={'ZipFile': zipped.getvalue()})
    functions.get_waiter('function_active_v2').wait(FunctionName=name)
    assert json.loads(functions.invoke(FunctionName=name)['Payload'].read()) == 20_000


def test_tags_of_mappings(server, name):
    _, _, arn = make_queue(server, name)
    functions = make_function(server, name, 'def handler(event, context): return 1')
    made = functions.create_event_source_mapping(FunctionName=name, EventSourceArn=arn, Enabled=False, Tags={'a': '1'})
    mapping = made['EventSourceMappingArn']
    functions.tag_resource(Resource=mapping, Tags={'b': '2', 'c': '3'})
    functions.untag_resource(Resource=mapping, TagKeys=['a'])
    assert functions.list_tags(Resource=mapping)['Tags'] == {'b': '2', 'c': '3'}
    assert functions.list_tags(Resource=functions.get_function(FunctionName=name)['Configuration']['FunctionArn'])['Tags'] == {}
    assert refused(functions.tag_resource, Resource=mapping, Tags={'aws:x': ''})['Code'] == 'InvalidParameterValueException'
    nobody = mapping.rsplit(':', 1)[0] + ':00000000-0000-4000-8000-000000000000'
    assert refused(functions.list_tags, Resource=nobody)['Code'] == 'ResourceNotFoundException'


EXTENSION = '''#!{python}
import json, http.client, os, sys
api = os.environ['AWS_LAMBDA_RUNTIME_API']
def ask(method, path, headers, body=None):
    connection = http.client.HTTPConnection(api)
    connection.request(method, '/2020-01-01/extension/' + path, body, headers)
    answer = connection.getresponse()
    return answer, answer.read()
answer, about = ask('POST', 'register', {{'Lambda-Extension-Name': os.path.basename(sys.argv[0])}}, json.dumps({{'events': ['INVOKE']}}))
me = answer.headers['Lambda-Extension-Identifier']
print('extension sees', json.loads(about)['functionName'], os.path.exists('/var/task/index.py'), os.getpid() < 100, flush=True)
while True:
    _, event = ask('GET', 'event/next', {{'Lambda-Extension-Identifier': me}})
    print('extension is told of', json.loads(event)['eventType'], flush=True)
'''


def test_extensions_run_in_the_sandbox(server, name, until):
    functions = server.client('lambda')
    out = io.BytesIO()
    with zipfile.ZipFile(out, 'w') as archive:
        info = zipfile.ZipInfo('extensions/observer')
        info.external_attr = 0o755 << 16
        archive.writestr(info, EXTENSION.format(python=shutil.which('python3', path='/usr/bin:/bin')))
    layer = functions.publish_layer_version(LayerName=name, Content={'ZipFile': out.getvalue()})
    make_function(server, name, 'def handler(event, context): return 1', Layers=[layer['LayerVersionArn']])
    assert run(functions, name) == 1
    layers = server.own('status')['sandbox']['held']

    def told():
        try:
            lines = server.own('tail?what=/aws/lambda/' + name)['lines']
        except urllib.error.HTTPError as error:
            # The group is made with its first line, a moment after that was written.
            assert error.code == 404
            return []
        return [line['text'] for line in lines if line['text'].startswith('extension')]
    lines = until(lambda: told() if any('is told' in line for line in told()) else None)
    rooted = str(any('root' in layer for layer in layers))
    assert lines[0].split()[2:4] == [name, rooted], (lines, layers)
    assert lines[1] == 'extension is told of INVOKE'


def test_layers_are_seen_as_one(server, name):
    functions = server.client('lambda')
    out = io.BytesIO()
    with zipfile.ZipFile(out, 'w') as archive:
        archive.writestr('python/greeting.py', 'TEXT = "from the layer"')
        archive.writestr('data.txt', 'data')
    layer = functions.publish_layer_version(
        LayerName=name, Content={'ZipFile': out.getvalue()}, CompatibleRuntimes=['python3.11'])
    assert layer['Version'] == 1
    functions = make_function(server, name, '''
import os, sys
def handler(event, context):
    import greeting
    where = [p for p in sys.path if os.path.exists(os.path.join(p, 'greeting.py'))][0]
    return [greeting.TEXT, open(os.path.join(where, '..', 'data.txt')).read()]
''', Layers=[layer['LayerVersionArn']])
    assert functions.get_function_configuration(FunctionName=name)['Layers'][0]['Arn'] == layer['LayerVersionArn']
    assert run(functions, name) == ['from the layer', 'data']
    functions.delete_layer_version(LayerName=name, VersionNumber=1)
    assert refused(functions.get_layer_version, LayerName=name, VersionNumber=1)['Code'] == 'ResourceNotFoundException'
    assert run(functions, name) == ['from the layer', 'data'], 'who uses it keeps it'


def test_urls(server, name):
    functions = make_function(server, name, '''
def handler(event, context):
    return {'statusCode': 201, 'headers': {'x-path': event['rawPath']}, 'body': event.get('body', 'none'),
            'cookies': ['a=b']}
''')
    url = functions.create_function_url_config(FunctionName=name, AuthType='NONE')['FunctionUrl']
    host = url.split('/')[2]
    assert host.endswith('.lambda-url.us-east-1.localhost:{}'.format(server.port))

    def ask(path, data=None, headers=(), own_host=True):
        # The name leads here; not every resolver knows that.
        base = server.endpoint if own_host else server.endpoint + '/_headwater/lambda-url/' + host.split('.')[0]
        headers = dict(headers, **({'Host': host} if own_host else {}))
        request = urllib.request.Request(base + path, data=data, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.headers, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read().decode()
    assert ask('/')[0] == 403
    functions.add_permission(FunctionName=name, StatementId='url', Principal='*', Action='lambda:InvokeFunctionUrl',
                             FunctionUrlAuthType='NONE')
    status, headers, body = ask('/a/b?c=d', b'hello', {'Content-Type': 'text/plain'})
    assert (status, headers['x-path'], headers['set-cookie'], body) == (201, '/a/b', 'a=b', 'hello')
    assert ask('/x', own_host=False)[1]['x-path'] == '/x'
    functions.update_function_url_config(FunctionName=name, AuthType='AWS_IAM')
    assert ask('/')[0] == 403
    request = AWSRequest('GET', server.endpoint + '/signed', headers={'Host': host})
    SigV4Auth(Credentials('test', 'test'), 'lambda', 'us-east-1').add_auth(request)
    status, headers, _ = ask('/signed', headers=dict(request.headers))
    assert (status, headers['x-path']) == (201, '/signed')
    functions.delete_function_url_config(FunctionName=name)
    assert ask('/')[0] == 403


def test_provisioned_concurrency(server, name, until):
    functions = make_function(server, name, 'def handler(event, context): return 1')
    functions.publish_version(FunctionName=name)
    put = functions.put_provisioned_concurrency_config(
        FunctionName=name, Qualifier='1', ProvisionedConcurrentExecutions=2)
    assert put['Status'] == 'IN_PROGRESS'

    def ready():
        return functions.get_provisioned_concurrency_config(FunctionName=name, Qualifier='1')['Status'] == 'READY'
    until(ready, patience=60)
    answer = functions.invoke(FunctionName=name, Qualifier='1', LogType='Tail')
    assert answer['ExecutedVersion'] == '1'
    with urllib.request.urlopen(server.endpoint + '/_headwater/metrics', timeout=30) as told:
        busy = 'aws_lambda_provisionedconcurrencyutilization_max{{FunctionName="{0}",Resource="{0}:1"}} 0.5'.format(name)
        assert busy in told.read().decode().splitlines()
    functions.delete_provisioned_concurrency_config(FunctionName=name, Qualifier='1')
