"""Plays the security pipeline against whatever AWS_ENDPOINT_URL points at, with nothing but boto3.

A production instance is terminated by an IAM user -> audit event -> rule -> stream and topic -> function -> tags
looked up -> text message. A second instance, not tagged as production, is terminated as well and must not notify.

Prints one JSON object a line: {"step": ...} while it works, {"failed": ...} or {"done": ...} at the end.
"""

import base64
import datetime
import io
import json
import os
import sys
import time
import urllib.parse
import urllib.request
import zipfile

import boto3
from botocore.config import Config

ENDPOINT = os.environ['AWS_ENDPOINT_URL']
USER = 'jcv-iam'
STREAM = 'security-events'
FUNCTION = 'notify-on-termination'
RULE = 'terminated-instances'
PHONE = '+15552562562'
PATIENCE_S = float(os.environ.get('PIPELINE_PATIENCE_S', '30'))
PATTERN = {
    'source': ['aws.ec2'],
    'detail-type': ['AWS API Call via CloudTrail'],
    'detail': {'eventSource': ['ec2.amazonaws.com'], 'eventName': ['TerminateInstances']},
}


class HopFailed(Exception):
    pass


def say(**fields):
    print(json.dumps(fields), flush=True)


def client(service, **kwargs):
    return boto3.client(service, config=Config(retries={'max_attempts': 2}), **kwargs)


def own(route, **query):
    """One of Headwater's own routes. Whoever is not known to be a person on that machine shows the root key."""
    url = '{}/_headwater/{}?{}'.format(ENDPOINT, route, urllib.parse.urlencode(query))
    key = '{}:{}'.format(os.environ['AWS_ACCESS_KEY_ID'], os.environ['AWS_SECRET_ACCESS_KEY'])
    basic = 'Basic ' + base64.b64encode(key.encode()).decode()
    asked = urllib.request.Request(url, headers={'Authorization': basic})
    with urllib.request.urlopen(asked, timeout=10) as answer:
        return json.load(answer)


def until(what, look):
    """Looks until there is something, or the patience ends."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.005)
    raise HopFailed('{}: nothing within {:.0f} s'.format(what, PATIENCE_S))


def millis(when):
    if isinstance(when, str):
        when = datetime.datetime.fromisoformat(when.replace('Z', '+00:00'))
    return when.timestamp() * 1000


def grant(service, action, resource, source):
    """The policy of a resource that lets a service act for one source."""
    statement = {
        'Effect': 'Allow', 'Principal': {'Service': service}, 'Action': action, 'Resource': resource,
        'Condition': {'ArnEquals': {'aws:SourceArn': source}}}
    return json.dumps({'Version': '2012-10-17', 'Statement': statement})


def set_up():
    """Everything the pipeline needs; returns what the rest of the play refers to."""
    iam, kinesis, sns, sqs = client('iam'), client('kinesis'), client('sns'), client('sqs')
    events, functions = client('events'), client('lambda')
    say(step='an IAM user with keys of their own')
    iam.create_user(UserName=USER)
    keys = iam.create_access_key(UserName=USER)['AccessKey']
    services = ['lambda.amazonaws.com', 'events.amazonaws.com']
    trust = {'Version': '2012-10-17', 'Statement': [
        {'Effect': 'Allow', 'Principal': {'Service': services}, 'Action': 'sts:AssumeRole'}]}
    role = iam.create_role(RoleName='notifier', AssumeRolePolicyDocument=json.dumps(trust))['Role']['Arn']
    say(step='a stream, a topic and a queue that listens to it')
    kinesis.create_stream(StreamName=STREAM, ShardCount=1)
    kinesis.get_waiter('stream_exists').wait(StreamName=STREAM, WaiterConfig={'Delay': 1})
    stream = kinesis.describe_stream_summary(StreamName=STREAM)['StreamDescriptionSummary']['StreamARN']
    topic = sns.create_topic(Name='terminations')['TopicArn']
    queue = sqs.create_queue(QueueName='terminations')['QueueUrl']
    queue_arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=['QueueArn'])['Attributes']['QueueArn']
    send = grant('sns.amazonaws.com', 'sqs:SendMessage', queue_arn, topic)
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={'Policy': send})
    sns.subscribe(TopicArn=topic, Protocol='sqs', Endpoint=queue_arn)
    say(step='a rule with two targets')
    rule = events.put_rule(Name=RULE, EventPattern=json.dumps(PATTERN))['RuleArn']
    publish = grant('events.amazonaws.com', 'sns:Publish', topic, rule)
    sns.set_topic_attributes(TopicArn=topic, AttributeName='Policy', AttributeValue=publish)
    failed = events.put_targets(Rule=RULE, Targets=[
        {'Id': 'stream', 'Arn': stream, 'RoleArn': role}, {'Id': 'topic', 'Arn': topic}])
    if failed['FailedEntryCount']:
        raise HopFailed('PutTargets: {}'.format(failed['FailedEntries']))
    say(step='a Python function on the stream')
    here = os.path.dirname(os.path.abspath(__file__))
    package = io.BytesIO()
    with zipfile.ZipFile(package, 'w') as archive:
        archive.write(os.path.join(here, 'handler.py'), 'handler.py')
    functions.create_function(
        FunctionName=FUNCTION, Runtime='python3.11', Role=role, Handler='handler.handler', Timeout=30, MemorySize=256,
        Code={'ZipFile': package.getvalue()})
    functions.get_waiter('function_active_v2').wait(FunctionName=FUNCTION, WaiterConfig={'Delay': 1})
    functions.create_event_source_mapping(
        FunctionName=FUNCTION, EventSourceArn=stream, StartingPosition='LATEST', BatchSize=10)
    say(step='the function is warmed up')
    warm = functions.invoke(FunctionName=FUNCTION, Payload=json.dumps({'Records': []}))
    if 'FunctionError' in warm:
        raise HopFailed('the function does not run: {}'.format(warm['Payload'].read().decode()))
    return {'keys': keys, 'stream': stream, 'queue': queue}


def run_instance(kind):
    ec2 = client('ec2')
    tags = [{'Key': 'Type', 'Value': kind}]
    answer = ec2.run_instances(
        ImageId='ami-12345678', MinCount=1, MaxCount=1, InstanceType='t3.micro',
        TagSpecifications=[{'ResourceType': 'instance', 'Tags': tags}])
    instance = answer['Instances'][0]['InstanceId']
    ec2.get_waiter('instance_running').wait(InstanceIds=[instance], WaiterConfig={'Delay': 1})
    return instance


def terminate(keys, instance):
    """As the IAM user. Returns when it was asked and when it was answered (milliseconds since the epoch)."""
    ec2 = client('ec2', aws_access_key_id=keys['AccessKeyId'], aws_secret_access_key=keys['SecretAccessKey'])
    ec2.describe_instances(InstanceIds=[instance])  # the connection is open before the clock starts
    asked = time.time() * 1000
    answer = ec2.terminate_instances(InstanceIds=[instance])
    answered = time.time() * 1000
    state = answer['TerminatingInstances'][0]['CurrentState']['Name']
    if state not in ('shutting-down', 'terminated'):
        raise HopFailed('TerminateInstances: the instance is {}'.format(state))
    return asked, answered


def stream_record(instance):
    kinesis = client('kinesis')
    shard = kinesis.list_shards(StreamName=STREAM)['Shards'][0]['ShardId']
    iterator = kinesis.get_shard_iterator(
        StreamName=STREAM, ShardId=shard, ShardIteratorType='TRIM_HORIZON')['ShardIterator']
    for record in kinesis.get_records(ShardIterator=iterator)['Records']:
        if instance in record['Data'].decode():
            return record
    return None


def audit_line(name, instance, since_ms):
    for line in own('tail', what='audit', **{'from': 'start'})['lines']:
        record = json.loads(line['text'])
        if record['eventName'] == name and instance in line['text'] and millis(line['time']) >= since_ms - 1:
            return line
    return None


def log_line(start, mark):
    for line in own('tail', what='/aws/lambda/' + FUNCTION, **{'from': 'start'})['lines']:
        if millis(line['time']) >= start and mark in line['text']:
            return line
    return None


def queue_message(queue, instance):
    sqs = client('sqs')
    answer = sqs.receive_message(
        QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1, MessageSystemAttributeNames=['SentTimestamp'])
    for message in answer.get('Messages', []):
        if instance in message['Body']:
            return message
    return None


def outbox(instance):
    return [n for n in own('outbox') if instance in n['body'] and n['channel'] == 'sms']


def play():
    names = set_up()
    production, other = run_instance('Production'), run_instance('Test')
    say(step='{} terminates {} (Type=Test)'.format(USER, other))
    quiet_since, _ = terminate(names['keys'], other)
    until('the function sees the other instance', lambda: log_line(quiet_since - 1, other))
    until('the function finishes', lambda: log_line(quiet_since - 1, 'REPORT'))
    say(step='{} terminates {} (Type=Production)'.format(USER, production))
    asked, answered = terminate(names['keys'], production)
    message = until('the text message', lambda: outbox(production))[0]
    record = until('the stream', lambda: stream_record(production))
    notice = until('the topic', lambda: queue_message(names['queue'], production))
    began = asked - 1
    audited = until('the audit record', lambda: audit_line('TerminateInstances', production, began))
    started = until('the function starts', lambda: log_line(millis(record['ApproximateArrivalTimestamp']) - 1, 'START'))
    looked = until('the look-up', lambda: audit_line('DescribeInstances', production, millis(started['time'])))
    ended = until('the function ends', lambda: log_line(millis(message['time']) - 1, 'REPORT'))
    if outbox(other):
        raise HopFailed('an instance that is not tagged as production sent a text message')
    arrival = millis(record['ApproximateArrivalTimestamp'])
    hops = [
        ('EC2', 'TerminateInstances by user {} is asked'.format(USER), asked),
        ('CloudTrail', 'audit record {} is on disk'.format(json.loads(audited['text'])['eventID'][:8]),
         millis(audited['time'])),
        ('EC2', 'TerminateInstances is answered', answered),
        ('Kinesis', 'rule {} put the event into stream {}'.format(RULE, STREAM), arrival),
        ('SNS', 'rule {} sent it to topic terminations, its queue has it'.format(RULE),
         float(notice['Attributes']['SentTimestamp'])),
        ('Lambda', 'function {} starts on the batch'.format(FUNCTION), millis(started['time'])),
        ('EC2', 'the function looked up the tags of {}'.format(production), millis(looked['time'])),
        ('SMS', 'text message to {}: {}'.format(message['to'], message['status']), millis(message['time'])),
        ('Lambda', ended['text'].split('\t')[1].strip() if '\t' in ended['text'] else 'done', millis(ended['time'])),
    ]
    event = json.loads(record['Data'])
    say(done={
        'hops': [{'service': s, 'what': w, 'ms': at - answered} for s, w, at in sorted(hops, key=lambda h: h[2])],
        'message': message, 'latency_ms': millis(message['time']) - answered,
        'quiet': other, 'production': production,
        'event': {'user': event['detail']['userIdentity']['userName'], 'id': event['id']},
    })


if __name__ == '__main__':
    try:
        play()
    except HopFailed as hop:
        say(failed=str(hop))
        sys.exit(1)
    except Exception as error:  # whatever it is, the person in front of the demo should read it, not a traceback
        say(failed='{}: {}'.format(type(error).__name__, error))
        sys.exit(1)
