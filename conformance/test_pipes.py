"""Pipes: from a stream or a queue, through a filter and an enrichment, to a target, with real functions."""

import json
import time

import botocore.exceptions
import pytest

from conftest import lets_in
from test_events import endpoint
from test_pipeline import make_function, make_stream, package

TRUST = json.dumps({'Version': '2012-10-17', 'Statement': [{
    'Effect': 'Allow', 'Principal': {'Service': 'pipes.amazonaws.com'}, 'Action': 'sts:AssumeRole'}]})


def role(server, name):
    return server.client('iam').create_role(RoleName=name + '-pipe', AssumeRolePolicyDocument=TRUST)['Role']['Arn']


class Queue:
    def __init__(self, server, name, **attributes):
        self.sqs = server.client('sqs')
        self.url = self.sqs.create_queue(QueueName=name, Attributes=attributes)['QueueUrl']
        self.arn = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=['QueueArn'])['Attributes']['QueueArn']

    def send(self, *bodies, **more):
        for body in bodies:
            self.sqs.send_message(QueueUrl=self.url, MessageBody=body, **more)

    def heard(self, enough, patience=40):
        """The messages, in order, until they are enough."""
        out, end = [], time.monotonic() + patience
        while not enough(out):
            assert time.monotonic() < end, 'only: {}'.format(out)
            got = self.sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10, WaitTimeSeconds=1)
            for message in got.get('Messages', []):
                out.append(message['Body'])
                self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message['ReceiptHandle'])
        return out


def make_pipe(server, until, name, source, target, **more):
    pipes = server.client('pipes')
    made = pipes.create_pipe(Name=name, RoleArn=role(server, name), Source=source, Target=target, **more)
    assert (made['CurrentState'], made['DesiredState']) == ('CREATING', more.get('DesiredState', 'RUNNING'))
    until(lambda: pipes.describe_pipe(Name=name)['CurrentState'] == made['DesiredState'])
    return pipes


def put(server, stream, *data, key='k'):
    records = [{'Data': d.encode(), 'PartitionKey': key} for d in data]
    assert server.client('kinesis').put_records(StreamName=stream, Records=records)['FailedRecordCount'] == 0


def refused(call, **kwargs):
    with pytest.raises(botocore.exceptions.ClientError) as error:
        call(**kwargs)
    return error.value.response['Error']


def test_stream_filter_enrichment_queue(server, name, until):
    target, stream = Queue(server, name + '-to'), make_stream(server, name)
    functions = make_function(server, name, '''
import base64, json
def handler(events, context):
    out = []
    for event in events:
        assert event['eventSource'] == 'aws:kinesis' and event['partitionKey'] == 'k', event
        order = json.loads(base64.b64decode(event['data']))
        if order['n'] != 3:
            out.append({'n': order['n'], 'double': order['n'] * 2, 'of': event['eventID'].split(':')[0]})
    return out
''')
    function = functions.get_function(FunctionName=name)['Configuration']['FunctionArn']
    pipes = make_pipe(
        server, until, name, stream, target.arn, Enrichment=function,
        SourceParameters={
            'FilterCriteria': {'Filters': [{'Pattern': json.dumps({'data': {'kind': ['order']}})}]},
            'KinesisStreamParameters': {'StartingPosition': 'TRIM_HORIZON', 'BatchSize': 5}},
        TargetParameters={'InputTemplate': '{"n": <$.n>, "text": "<aws.pipes.pipe-name>: <$.double>"}'})
    put(server, name, *[json.dumps({'kind': 'order' if n % 2 else 'noise', 'n': n}) for n in range(12)], 'no JSON')
    heard = [json.loads(body) for body in target.heard(lambda out: len(out) >= 5)]
    assert heard == [{'n': n, 'text': '{}: {}'.format(name, n * 2)} for n in (1, 5, 7, 9, 11)]
    shown = pipes.describe_pipe(Name=name)
    assert shown['SourceParameters']['KinesisStreamParameters'] == {
        'BatchSize': 5, 'MaximumBatchingWindowInSeconds': 0, 'MaximumRecordAgeInSeconds': -1,
        'MaximumRetryAttempts': -1, 'ParallelizationFactor': 1, 'StartingPosition': 'TRIM_HORIZON'}
    assert (shown['Enrichment'], shown['Target'], shown['Source']) == (function, target.arn, stream)
    # Given up records are told of, and the others go on.
    dead = Queue(server, name + '-dead')
    functions.update_function_code(FunctionName=name, ZipFile=package('''
import base64
def handler(events, context):
    if any(b'bad' in base64.b64decode(e['data']) for e in events): raise ValueError('bad')
    return [{'n': e['sequenceNumber'], 'double': 0} for e in events]
'''))
    pipes.update_pipe(Name=name, RoleArn=shown['RoleArn'], SourceParameters={'KinesisStreamParameters': {
        'BatchSize': 5, 'MaximumRetryAttempts': 1, 'OnPartialBatchItemFailure': 'AUTOMATIC_BISECT',
        'DeadLetterConfig': {'Arn': dead.arn}}})
    until(lambda: pipes.describe_pipe(Name=name)['CurrentState'] == 'RUNNING')
    assert pipes.describe_pipe(Name=name)['SourceParameters']['FilterCriteria'], 'what is not said stays'
    put(server, name, *['{"kind":"order","x":"%s"}' % x for x in ('a', 'bad', 'c')])
    letter = json.loads(dead.heard(lambda out: out)[0])
    assert letter['context']['condition'] == 'RetryAttemptsExhausted'
    assert (letter['KinesisBatchInfo']['batchSize'], letter['KinesisBatchInfo']['streamArn']) == (1, stream)
    assert len(target.heard(lambda out: len(out) >= 2)) == 2


def test_queue_to_event_bus(server, name, until):
    source, seen = Queue(server, name), Queue(server, name + '-seen', Policy=lets_in('events'))
    events = server.client('events')
    bus = events.create_event_bus(Name=name)['EventBusArn']
    events.put_rule(Name=name, EventBusName=name, EventPattern=json.dumps({'detail-type': ['order.placed']}))
    events.put_targets(Rule=name, EventBusName=name, Targets=[{'Id': 'q', 'Arn': seen.arn}])
    pipes = make_pipe(
        server, until, name, source.arn, bus,
        SourceParameters={'FilterCriteria': {'Filters': [{'Pattern': '{"body":{"ok":[true]}}'}]}},
        TargetParameters={
            'InputTemplate': '{"id": <$.body.id>, "raw": <$.body>}',
            'EventBridgeEventBusParameters': {
                'DetailType': '$.body.type', 'Source': 'shop', 'Resources': ['$.eventSourceARN'], 'Time': '$.body.at'}})
    source.send(json.dumps({'ok': False}), 'plain', json.dumps(
        {'ok': True, 'id': 7, 'type': 'order.placed', 'at': '2024-02-03T04:05:06Z'}))
    event = json.loads(seen.heard(lambda out: out)[0])
    assert (event['source'], event['detail-type'], event['time']) == ('shop', 'order.placed', '2024-02-03T04:05:06Z')
    assert (event['resources'], event['detail']['id'], event['detail']['raw']['ok']) == ([source.arn], 7, True)

    def empty():
        names = ['ApproximateNumberOfMessages', 'ApproximateNumberOfMessagesNotVisible']
        counts = source.sqs.get_queue_attributes(QueueUrl=source.url, AttributeNames=names)['Attributes']
        return set(counts.values()) == {'0'}
    until(empty)
    # A pipe that is stopped takes nothing; started, it goes on.
    assert pipes.stop_pipe(Name=name)['CurrentState'] == 'STOPPING'
    until(lambda: pipes.describe_pipe(Name=name)['CurrentState'] == 'STOPPED')
    source.send(json.dumps({'ok': True, 'id': 8, 'type': 'order.placed'}))
    time.sleep(0.3)
    assert not empty()
    assert pipes.start_pipe(Name=name)['CurrentState'] == 'STARTING'
    assert json.loads(seen.heard(lambda out: out)[0])['detail']['id'] == 8
    assert pipes.delete_pipe(Name=name)['CurrentState'] == 'DELETING'
    until(lambda: refused(pipes.describe_pipe, Name=name)['Code'] == 'NotFoundException'
          if not any(p['Name'] == name for p in pipes.list_pipes(NamePrefix=name)['Pipes']) else None)


def test_a_crash_in_the_middle_loses_nothing(fresh, name, until):
    server = fresh()
    stream, target = make_stream(server, name), Queue(server, name + '-to')
    make_pipe(server, until, name, stream, target.arn,
              SourceParameters={'KinesisStreamParameters': {'StartingPosition': 'LATEST', 'BatchSize': 10}},
              TargetParameters={'InputTemplate': '<$.data>'})
    for batch in range(4):
        put(server, name, *[str(batch * 50 + n) for n in range(50)])
        if batch < 3:
            time.sleep(0.05 * batch)
            server.kill()
            server.start()
    heard = target.heard(lambda out: len(set(out)) >= 200)
    firsts = list(dict.fromkeys(heard))
    assert firsts == [str(n) for n in range(200)], 'each arrived, for the first time in order'


def test_api_destinations_enrich_and_take(server, name, until):
    events, source = server.client('events'), Queue(server, name, VisibilityTimeout='2')
    failures = [(500, 'no')]

    def answer(request):
        if request['path'].startswith('/enrich'):
            assert request['path'] == '/enrich/7?v=plain', request['path']
            return 200, json.dumps({'price': int(request['body']) * 6})
        return failures.pop() if failures else (200, '')

    with endpoint(answer) as (url, seen):
        connection = events.create_connection(
            Name=name, AuthorizationType='API_KEY',
            AuthParameters={'ApiKeyAuthParameters': {'ApiKeyName': 'X-Key', 'ApiKeyValue': 'k'}})['ConnectionArn']
        ask, take = [
            events.create_api_destination(
                Name=name + part, ConnectionArn=connection, HttpMethod='POST',
                InvocationEndpoint=url + path)['ApiDestinationArn']
            for part, path in (('-ask', '/enrich/*'), ('-take', '/take'))]
        pipes = make_pipe(
            server, until, name, source.arn, take, Enrichment=ask,
            EnrichmentParameters={'InputTemplate': '<$.body.id>', 'HttpParameters': {
                'PathParameterValues': ['$.body.id'], 'QueryStringParameters': {'v': '$.body.kind'}}},
            TargetParameters={'InputTemplate': '{"cost": <$.price>}', 'HttpParameters': {
                'HeaderParameters': {'X-Price': '$.price'}}})
        batch = pipes.describe_pipe(Name=name)['SourceParameters']['SqsQueueParameters']['BatchSize']
        assert batch == 1, 'an API destination takes one event'
        source.send('{"id": 7, "kind": "plain"}')
        until(lambda: sum(1 for r in seen if r['path'] == '/take') == 2)
    last = seen[-1]
    assert (json.loads(last['body']), last['headers'].get('x-price', last['headers'].get('X-Price'))) == ({'cost': 42}, '42')
    assert [r['path'].split('/')[1] for r in seen] == ['enrich', 'take', 'enrich', 'take'], 'a retry enriches anew'


def test_streams_topics_and_fifo_queues_as_targets(server, name, until):
    """One pipe after another: a FIFO queue, a stream, a consumer of it, a topic, a queue."""
    kinesis, sns = server.client('kinesis'), server.client('sns')
    first, last = Queue(server, name + '.fifo', FifoQueue='true'), Queue(server, name + '-last', Policy=lets_in('sns'))
    stream, topic = make_stream(server, name), sns.create_topic(Name=name)['TopicArn']
    sns.subscribe(TopicArn=topic, Protocol='sqs', Endpoint=last.arn, Attributes={'RawMessageDelivery': 'true'})
    consumer = kinesis.register_stream_consumer(StreamARN=stream, ConsumerName='c')['Consumer']['ConsumerARN']
    until(lambda: kinesis.describe_stream_consumer(ConsumerARN=consumer)['ConsumerDescription']['ConsumerStatus'] == 'ACTIVE')
    make_pipe(server, until, name + '-1', first.arn, stream, TargetParameters={
        'InputTemplate': '<$.body>', 'KinesisStreamParameters': {'PartitionKey': '$.attributes.MessageGroupId'}})
    second = Queue(server, name + '-2.fifo', FifoQueue='true')
    make_pipe(server, until, name + '-2', consumer, second.arn, TargetParameters={
        'InputTemplate': '{"n": <$.data>, "from": <aws.pipes.source-arn>}',
        'SqsQueueParameters': {'MessageGroupId': '$.partitionKey', 'MessageDeduplicationId': '$.sequenceNumber'}},
        SourceParameters={'KinesisStreamParameters': {'StartingPosition': 'TRIM_HORIZON', 'ParallelizationFactor': 2, 'BatchSize': 3}})
    make_pipe(server, until, name + '-3', second.arn, topic, TargetParameters={'InputTemplate': '<$.body.n> <$.body.from>'})
    for n in range(10):
        first.sqs.send_message(
            QueueUrl=first.url, MessageBody=str(n), MessageGroupId='g{}'.format(n % 2), MessageDeduplicationId=str(n))
    heard = last.heard(lambda out: len(out) >= 10)
    assert sorted(heard) == ['{} {}'.format(n, consumer) for n in range(10)]
    records = kinesis.get_records(ShardIterator=kinesis.get_shard_iterator(
        StreamName=name, ShardId='shardId-000000000000', ShardIteratorType='TRIM_HORIZON')['ShardIterator'])['Records']
    by_key = {}
    for record in records:
        by_key.setdefault(record['PartitionKey'], []).append(int(record['Data']))
    assert by_key == {'g0': [0, 2, 4, 6, 8], 'g1': [1, 3, 5, 7, 9]}
    shown = {pipe['name']: pipe for pipe in server.own('status')['pipes']}
    assert shown[name + '-2']['state'] == 'RUNNING' and shown[name + '-2']['failures'] == 0


def test_log_groups_as_target_and_as_log(server, name, until):
    logs, source = server.client('logs'), Queue(server, name)
    groups = {}
    for part in ('-to', '-log'):
        logs.create_log_group(logGroupName=name + part)
        groups[part] = 'arn:aws:logs:us-east-1:000000000000:log-group:{}{}'.format(name, part)
    pipes = make_pipe(
        server, until, name, source.arn, groups['-to'],
        LogConfiguration={'Level': 'TRACE', 'CloudwatchLogsLogDestination': {'LogGroupArn': groups['-log']}},
        TargetParameters={'InputTemplate': '<$.body.text>', 'CloudWatchLogsParameters': {
            'LogStreamName': 'mine', 'Timestamp': '$.body.at'}})
    assert pipes.describe_pipe(Name=name)['LogConfiguration']['Level'] == 'TRACE'
    now = int(time.time() * 1000) - 5000
    source.send(json.dumps({'text': 'hello', 'at': now}))

    def seen(part):
        return logs.filter_log_events(logGroupName=name + part)['events']
    event = until(lambda: seen('-to'))[0]
    assert (event['message'], event['timestamp'], event['logStreamName']) == ('hello', now, 'mine')
    until(lambda: len(seen('-log')) == 6)
    told = [json.loads(event['message']) for event in seen('-log')]
    assert [t['messageType'] for t in told] == [
        'ExecutionStarted', 'TargetStageEntered', 'TargetInvocationStarted', 'TargetInvocationSucceeded',
        'TargetStageSucceeded', 'ExecutionSucceeded']
    assert len({t['executionId'] for t in told}) == 1 and 'payload' not in told[0]


def test_what_is_refused(server, name, until):
    pipes, queue = server.client('pipes'), Queue(server, name)
    other = Queue(server, name + '-to')
    base = {'Name': name, 'RoleArn': role(server, name), 'Source': queue.arn, 'Target': other.arn}
    create = pipes.create_pipe
    assert refused(pipes.describe_pipe, Name=name)['Code'] == 'NotFoundException'
    assert refused(create, **{**base, 'Name': 'a b'})['Code'] == 'ValidationException'
    assert refused(create, **{**base, 'Source': queue.arn + '-none'})['Code'] == 'NotFoundException'
    assert refused(create, **{**base, 'RoleArn': 'arn:aws:iam::000000000000:role/none'})['Code'] == 'ValidationException'
    large = {'SqsQueueParameters': {'BatchSize': 100, 'MaximumBatchingWindowInSeconds': 1}}
    assert '10' in refused(create, **base, SourceParameters=large)['Message']
    bad = {'FilterCriteria': {'Filters': [{'Pattern': '{"body":"x"}'}]}}
    assert refused(create, **base, SourceParameters=bad)['Code'] == 'ValidationException'
    for target in ('states:us-east-1:000000000000:stateMachine:m', 'firehose:us-east-1:000000000000:deliverystream/d'):
        assert refused(create, **{**base, 'Target': 'arn:aws:' + target})['Code'] == 'NotImplementedException'
    table = 'arn:aws:dynamodb:us-east-1:000000000000:table/t/stream/2024'
    assert 'DynamoDB' in refused(create, **{**base, 'Source': table})['Message']
    log = {'Level': 'INFO', 'S3LogDestination': {'BucketName': 'logs', 'BucketOwner': '000000000000'}}
    assert 'S3LogDestination' in refused(create, **base, LogConfiguration=log)['Message']
    made = create(**base, DesiredState='STOPPED', Tags={'a': '1'})
    until(lambda: pipes.describe_pipe(Name=name)['CurrentState'] == 'STOPPED')
    assert refused(create, **base)['Code'] == 'ConflictException'
    pipes.tag_resource(resourceArn=made['Arn'], tags={'b': '2'})
    pipes.untag_resource(resourceArn=made['Arn'], tagKeys=['a'])
    assert pipes.list_tags_for_resource(resourceArn=made['Arn'])['tags'] == {'b': '2'}


def test_a_function_target_says_what_failed(server, name, until):
    source = Queue(server, name, VisibilityTimeout='1')
    told = Queue(server, name + '-told')
    functions = make_function(server, name, '''
import boto3, json, os
sqs = boto3.client('sqs')
def handler(events, context):
    failed = []
    for event in events:
        times = int(event['attributes']['ApproximateReceiveCount'])
        if event['body'] == 'twice' and times < 2:
            failed.append({'itemIdentifier': event['messageId']})
        else:
            sqs.send_message(QueueUrl=os.environ['TOLD'], MessageBody='{} {}'.format(event['body'], times))
    return {'batchItemFailures': failed}
''', Environment={'Variables': {'TOLD': told.url}})
    function = functions.get_function(FunctionName=name)['Configuration']['FunctionArn']
    make_pipe(server, until, name, source.arn, function, DesiredState='RUNNING')
    source.send('once', 'twice')
    # A cold start may take longer than the messages stay invisible.
    heard = told.heard(lambda out: {o.split()[0] for o in out} == {'once', 'twice'})
    assert 'twice 1' not in heard


def test_without_its_role_a_pipe_waits_and_loses_nothing(server, name, until):
    source, target, iam = Queue(server, name), Queue(server, name + '-to'), server.client('iam')
    pipes = make_pipe(server, until, name, source.arn, target.arn, TargetParameters={'InputTemplate': '<$.body>'})
    iam.delete_role(RoleName=name + '-pipe')
    source.send('held')
    shown = until(lambda: (lambda pipe: pipe.get('StateReason') and pipe)(pipes.describe_pipe(Name=name)))
    assert name + '-pipe cannot be assumed' in shown['StateReason'] and shown['CurrentState'] == 'RUNNING'
    assert role(server, name) == shown['RoleArn']
    assert target.heard(len) == ['held']
    until(lambda: 'StateReason' not in pipes.describe_pipe(Name=name))


def test_pipes_are_listed_page_by_page(server, name, until):
    source, target = Queue(server, name), Queue(server, name + '-to')
    base = {'RoleArn': role(server, name), 'Source': source.arn, 'Target': target.arn, 'DesiredState': 'STOPPED'}
    pipes, names = server.client('pipes'), ['{}-{}'.format(name, i) for i in range(5)]
    for each in names:
        pipes.create_pipe(Name=each, **base)
    pages = pipes.get_paginator('list_pipes').paginate(NamePrefix=name, PaginationConfig={'PageSize': 2})
    assert [pipe['Name'] for page in pages for pipe in page['Pipes']] == names
    assert refused(pipes.list_pipes, NextToken=names[0])['Code'] == 'ValidationException'
    bad = {'FilterCriteria': {'Filters': [{'Pattern': '{"body":"x"}'}]}}
    assert '"body" must be an object or an array' in refused(
        pipes.create_pipe, Name=name, **base, SourceParameters=bad)['Message']
