"""The main job, and what it keeps across a crash."""

import io
import json
import pathlib
import subprocess
import sys
import zipfile

import pytest
from conftest import lets_in

PIPELINE = pathlib.Path(__file__).parent.parent / 'examples' / 'security-pipeline'
TRUST = json.dumps({'Version': '2012-10-17', 'Statement': [
    {'Effect': 'Allow', 'Principal': {'Service': 'lambda.amazonaws.com'}, 'Action': 'sts:AssumeRole'}]})


def package(source):
    out = io.BytesIO()
    with zipfile.ZipFile(out, 'w') as archive:
        archive.writestr('handler.py', source)
    return out.getvalue()


def make_function(server, name, source, **more):
    iam, functions = server.client('iam'), server.client('lambda', read_timeout=120)
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)['Role']['Arn']
    settings = {'Runtime': 'python3.11', 'Handler': 'handler.handler', 'Timeout': 10, **more}
    functions.create_function(FunctionName=name, Role=role, Code={'ZipFile': package(source)}, **settings)
    functions.get_waiter('function_active_v2').wait(FunctionName=name, WaiterConfig={'Delay': 1, 'MaxAttempts': 240})
    return functions


def make_stream(server, name):
    kinesis = server.client('kinesis')
    kinesis.create_stream(StreamName=name, ShardCount=1)
    kinesis.get_waiter('stream_exists').wait(StreamName=name, WaiterConfig={'Delay': 1})
    return kinesis.describe_stream_summary(StreamName=name)['StreamDescriptionSummary']['StreamARN']


def test_a_terminated_production_instance_becomes_a_text_message(fresh):
    server = fresh()
    played = subprocess.run(
        [sys.executable, str(PIPELINE / 'pipeline.py')], capture_output=True, text=True, timeout=300,
        env={'AWS_ENDPOINT_URL': server.endpoint, 'AWS_ACCESS_KEY_ID': 'test', 'AWS_SECRET_ACCESS_KEY': 'test',
             'AWS_DEFAULT_REGION': 'us-east-1', 'PATH': '/usr/bin:/bin', 'PIPELINE_PATIENCE_S': '60'})
    assert played.returncode == 0, played.stdout + played.stderr
    done = json.loads(played.stdout.splitlines()[-1])['done']
    assert done['message']['body'] == 'User jcv-iam has terminated production instance ' + done['production']
    assert done['message']['to'] == '+15552562562'
    assert done['message']['status'] == 'no-provider'
    texts = [n for n in server.own('outbox') if n['channel'] == 'sms']
    assert len(texts) == 1, 'the instance that is not tagged as production sent nothing'


def test_invocations(server, name):
    functions = make_function(server, name, '''
import os, sys, time
def handler(event, context):
    print('saw', sorted(event))
    if event.get('raise'): raise ValueError('no')
    if event.get('exit'): os._exit(3)
    if event.get('sleep'): time.sleep(60)
    return {'got': event, 'left': context.get_remaining_time_in_millis() > 0, 'arn': context.invoked_function_arn}
''', Timeout=2)

    def invoke(event):
        answer = functions.invoke(FunctionName=name, Payload=json.dumps(event), LogType='Tail')
        return answer, json.loads(answer['Payload'].read())

    answer, body = invoke({'a': 1})
    assert answer['StatusCode'] == 200 and 'FunctionError' not in answer
    assert body['got'] == {'a': 1} and body['left'] and body['arn'].endswith(':function:' + name)
    answer, body = invoke({'raise': True})
    assert answer['FunctionError'] == 'Unhandled'
    assert body['errorType'] == 'ValueError' and body['errorMessage'] == 'no' and body['stackTrace']
    answer, body = invoke({'exit': True})
    assert answer['FunctionError'] == 'Unhandled' and body['errorType'] == 'Runtime.ExitError'
    answer, body = invoke({'sleep': True})
    assert answer['FunctionError'] == 'Unhandled' and 'Task timed out after 2.00 seconds' in body['errorMessage']
    answer, body = invoke({'b': 2})
    assert body['got'] == {'b': 2}, 'it recovers'
    assert functions.invoke(FunctionName=name, InvocationType='DryRun')['StatusCode'] == 204


def test_credentials_are_the_roles(server, name):
    functions = make_function(server, name, '''
import boto3
def handler(event, context):
    return boto3.client('sts').get_caller_identity()['Arn']
''')
    arn = json.loads(functions.invoke(FunctionName=name)['Payload'].read())
    assert arn == 'arn:aws:sts::000000000000:assumed-role/{0}/{0}'.format(name)


def test_a_failing_batch_blocks_its_shard_and_is_retried_in_order(server, name, until):
    stream = make_stream(server, name)
    sqs = server.client('sqs')
    queue = sqs.create_queue(QueueName=name)['QueueUrl']
    functions = make_function(server, name, '''
import base64, boto3, os
sqs = boto3.client('sqs')
failed = set()
def handler(event, context):
    for record in event['Records']:
        data = base64.b64decode(record['kinesis']['data']).decode()
        if data == '3' and '3' not in failed:
            failed.add('3')
            raise ValueError('once')
        sqs.send_message(QueueUrl=os.environ['QUEUE'], MessageBody=data)
''', Environment={'Variables': {'QUEUE': queue}})
    functions.create_event_source_mapping(
        FunctionName=name, EventSourceArn=stream, StartingPosition='TRIM_HORIZON', BatchSize=1)
    kinesis = server.client('kinesis')
    for i in range(6):
        kinesis.put_record(StreamName=name, Data=str(i).encode(), PartitionKey='k')
    seen = []

    def six():
        answer = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1)
        seen.extend(m['Body'] for m in answer.get('Messages', []))
        return len(seen) >= 6

    until(six, 60)
    assert seen == ['0', '1', '2', '3', '4', '5']


def test_everything_acknowledged_survives_kill_9(fresh, name, until):
    server = fresh()
    stream = make_stream(server, name)
    kinesis, sqs, events = server.client('kinesis'), server.client('sqs'), server.client('events')
    queue = sqs.create_queue(QueueName=name, Attributes={'Policy': lets_in('events')})['QueueUrl']
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=['QueueArn'])['Attributes']['QueueArn']
    events.put_rule(Name=name, EventPattern=json.dumps({'source': ['mine']}))
    answer = events.put_targets(Rule=name, Targets=[{'Id': 'q', 'Arn': arn}, {'Id': 's', 'Arn': stream}])
    assert answer['FailedEntryCount'] == 0
    put = [kinesis.put_record(StreamName=name, Data=b'%d' % i, PartitionKey='k')['SequenceNumber'] for i in range(50)]
    accepted = []
    for i in range(30):
        entry = {'Source': 'mine', 'DetailType': 't', 'Detail': json.dumps({'n': i})}
        answer = events.put_events(Entries=[entry])
        assert answer['FailedEntryCount'] == 0
        accepted.append(answer['Entries'][0]['EventId'])
    server.kill()
    server.start()
    shard = kinesis.list_shards(StreamName=name)['Shards'][0]['ShardId']
    iterator = kinesis.get_shard_iterator(
        StreamName=name, ShardId=shard, ShardIteratorType='TRIM_HORIZON')['ShardIterator']

    def all_in_stream():
        records = kinesis.get_records(ShardIterator=iterator)['Records']
        direct = [r['SequenceNumber'] for r in records if r['Data'].isdigit()]
        through = {json.loads(r['Data'])['id'] for r in records if not r['Data'].isdigit()}
        return direct == put and through >= set(accepted)

    until(all_in_stream, 30)
    seen = set()

    def all_in_queue():
        answer = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1)
        seen.update(json.loads(m['Body'])['id'] for m in answer.get('Messages', []))
        return seen >= set(accepted)

    until(all_in_queue, 60)


def test_a_mapping_goes_on_from_its_checkpoint(fresh, name, until):
    server = fresh()
    stream = make_stream(server, name)
    sqs = server.client('sqs')
    queue = sqs.create_queue(QueueName=name)['QueueUrl']
    functions = make_function(server, name, '''
import base64, boto3, os
def handler(event, context):
    for record in event['Records']:
        boto3.client('sqs').send_message(
            QueueUrl=os.environ['QUEUE'], MessageBody=base64.b64decode(record['kinesis']['data']).decode())
''', Environment={'Variables': {'QUEUE': queue}})
    functions.create_event_source_mapping(FunctionName=name, EventSourceArn=stream, StartingPosition='LATEST')
    kinesis = server.client('kinesis')
    seen = set()

    def have(wanted):
        def look():
            answer = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1)
            for message in answer.get('Messages', []):
                seen.add(message['Body'])
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=message['ReceiptHandle'])
            return seen >= wanted
        return look

    kinesis.put_record(StreamName=name, Data=b'before', PartitionKey='k')
    until(have({'before'}), 60)
    kinesis.put_record(StreamName=name, Data=b'in between', PartitionKey='k')
    server.kill()
    server.start()
    kinesis.put_record(StreamName=name, Data=b'after', PartitionKey='k')
    until(have({'before', 'in between', 'after'}), 60)


@pytest.mark.parametrize('source', [
    'import os\ndef handler(e, c):\n    while True: os.fork()\n',
    'def handler(e, c):\n    x = []\n    while True: x.append(bytearray(1 << 20))\n',
    'def handler(e, c):\n    while True: pass\n',
], ids=['forks', 'hoards', 'spins'])
def test_a_bad_function_harms_only_itself(server, name, source):
    functions = make_function(server, name, source, Timeout=3, MemorySize=128)
    answer = functions.invoke(FunctionName=name)
    assert answer['FunctionError'] == 'Unhandled'
    good = make_function(server, name + '-good', 'def handler(e, c): return 7')
    assert good.invoke(FunctionName=name + '-good')['Payload'].read() == b'7'
