"""The AWS CLI, unmodified, pointed here by the lines that `headwater env` prints."""

import json
import os
import subprocess

import pytest
from conftest import BINARY, lets_in


@pytest.fixture
def aws(server, tmp_path):
    lines = subprocess.run([BINARY, 'env', '--endpoint', server.endpoint], capture_output=True, text=True, check=True)
    env = {'PATH': os.environ['PATH'], 'HOME': str(tmp_path), 'AWS_PAGER': '', 'AWS_EC2_METADATA_DISABLED': 'true'}
    for line in lines.stdout.splitlines():
        if line.startswith('export '):
            key, value = line.removeprefix('export ').split('=', 1)
            env[key] = value

    def run(*args, fails=False):
        done = subprocess.run(['aws', *args, '--output', 'json'], capture_output=True, text=True, env=env, cwd=tmp_path)
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return done.stderr if fails else (json.loads(done.stdout) if done.stdout.strip() else None)

    return run


def test_streams(aws, name):
    aws('kinesis', 'create-stream', '--stream-name', name, '--shard-count', '1')
    aws('kinesis', 'wait', 'stream-exists', '--stream-name', name)
    put = aws('kinesis', 'put-record', '--stream-name', name, '--partition-key', 'k', '--data', 'hello')
    iterator = aws('kinesis', 'get-shard-iterator', '--stream-name', name, '--shard-id', put['ShardId'],
                   '--shard-iterator-type', 'TRIM_HORIZON')['ShardIterator']
    records = aws('kinesis', 'get-records', '--shard-iterator', iterator)['Records']
    assert [r['Data'] for r in records] == ['aGVsbG8='], 'the CLI shows blobs in base64'


def test_rules_and_queues(aws, server, name, until):
    # Version 1 of the CLI does not take AWS_ENDPOINT_URL for SQS in us-east-1.
    sqs = ['sqs', '--endpoint-url', server.endpoint]
    policy = json.dumps({'Policy': lets_in('events')})
    url = aws(*sqs, 'create-queue', '--queue-name', name, '--attributes', policy)['QueueUrl']
    attributes = aws(*sqs, 'get-queue-attributes', '--queue-url', url, '--attribute-names', 'QueueArn')['Attributes']
    arn = attributes['QueueArn']
    aws('events', 'put-rule', '--name', name, '--event-pattern', json.dumps({'source': [name]}))
    assert aws('events', 'put-targets', '--rule', name, '--targets', 'Id=1,Arn=' + arn)['FailedEntryCount'] == 0
    entry = json.dumps([{'Source': name, 'DetailType': 't', 'Detail': '{"n":1}'}])
    assert aws('events', 'put-events', '--entries', entry)['FailedEntryCount'] == 0
    got = until(lambda: aws(*sqs, 'receive-message', '--queue-url', url, '--wait-time-seconds', '2'))
    assert json.loads(got['Messages'][0]['Body'])['detail'] == {'n': 1}


def test_instances_and_the_trail(aws):
    tags = 'ResourceType=instance,Tags=[{Key=Type,Value=Production}]'
    instance = aws('ec2', 'run-instances', '--image-id', 'ami-12345678', '--count', '1',
                   '--tag-specifications', tags)['Instances'][0]['InstanceId']
    aws('ec2', 'wait', 'instance-running', '--instance-ids', instance)
    found = aws('ec2', 'describe-instances', '--filters', 'Name=tag:Type,Values=Prod*')
    assert instance in json.dumps(found)
    aws('ec2', 'terminate-instances', '--instance-ids', instance)
    events = aws('cloudtrail', 'lookup-events', '--lookup-attributes',
                 'AttributeKey=ResourceName,AttributeValue=' + instance)['Events']
    assert [e['EventName'] for e in events if e['ReadOnly'] == 'false'] == ['TerminateInstances', 'RunInstances']
    assert 'InvalidInstanceID.NotFound' in aws(
        'ec2', 'terminate-instances', '--instance-ids', 'i-0123456789abcdef0', fails=True)


def test_notifications(aws, server, name):
    message = aws('sns', 'publish', '--phone-number', '+15550100', '--message', name)['MessageId']
    sent = [n for n in server.own('outbox') if n['body'] == name]
    for _ in range(200):
        if sent:
            break
        sent = [n for n in server.own('outbox') if n['body'] == name]
    assert sent[0]['message_id'] == message and sent[0]['status'] == 'no-provider' and sent[0]['to'] == '+15550100'
