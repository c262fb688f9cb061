"""Event source mappings with real handlers: what each setting makes of a batch."""

import json
import time

import botocore.exceptions
import pytest

from test_pipeline import make_function, make_stream

# Handlers tell a queue what they saw.
TELL = '''
import base64, boto3, json, os
sqs = boto3.client('sqs')
def tell(what):
    sqs.send_message(QueueUrl=os.environ['TOLD'], MessageBody=json.dumps(what))
def texts(event):
    return [base64.b64decode(r['kinesis']['data']).decode() for r in event['Records']]
'''


class Stage:
    """A stream, a function that tells a queue, and a mapping between them."""

    def __init__(self, server, name, until, handler, source=None, start='TRIM_HORIZON', **settings):
        self.name, self.until = name, until
        self.sqs, self.kinesis = server.client('sqs'), server.client('kinesis')
        self.told = self.sqs.create_queue(QueueName=name + '-told')['QueueUrl']
        self.functions = make_function(server, name, TELL + handler, Environment={'Variables': {'TOLD': self.told}})
        self.source = source or make_stream(server, name)
        if ':kinesis:' in self.source:
            settings['StartingPosition'] = start
        self.made = self.functions.create_event_source_mapping(
            FunctionName=name, EventSourceArn=self.source, **settings)
        self.uuid = self.made['UUID']

    def state(self):
        return self.functions.get_event_source_mapping(UUID=self.uuid)

    def reach(self, state):
        self.until(lambda: self.state()['State'] == state)

    def put(self, *data, key='k'):
        records = [{'Data': d if isinstance(d, bytes) else d.encode(), 'PartitionKey': key} for d in data]
        answer = self.kinesis.put_records(StreamName=self.name, Records=records)
        assert answer['FailedRecordCount'] == 0
        return [r['SequenceNumber'] for r in answer['Records']]

    def queue_arn(self, url):
        return self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=['QueueArn'])['Attributes']['QueueArn']

    def heard(self, enough, url=None, patience=40):
        """What was told, in order, until it is enough."""
        url, out, end = url or self.told, [], time.monotonic() + patience
        while not enough(out):
            assert time.monotonic() < end, 'told only: {}'.format(out)
            got = self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1)
            for message in got.get('Messages', []):
                out.append(json.loads(message['Body']))
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message['ReceiptHandle'])
        return out


def refused(call, *args, **kwargs):
    with pytest.raises(botocore.exceptions.ClientError) as error:
        call(*args, **kwargs)
    return error.value.response['Error']


def test_states_and_settings(server, name, until):
    stage = Stage(server, name, until, 'def handler(event, context): tell(texts(event))', BatchSize=7)
    assert stage.made['State'] == 'Creating'
    assert stage.made['LastProcessingResult'] == 'No records processed'
    assert stage.made['StateTransitionReason'] == 'User action'
    assert stage.made['EventSourceMappingArn'].endswith(':event-source-mapping:' + stage.uuid)
    defaults = {'ParallelizationFactor': 1, 'MaximumRetryAttempts': -1, 'MaximumRecordAgeInSeconds': -1,
                'BisectBatchOnFunctionError': False, 'TumblingWindowInSeconds': 0, 'FunctionResponseTypes': [],
                'DestinationConfig': {'OnFailure': {}}, 'MaximumBatchingWindowInSeconds': 0, 'BatchSize': 7}
    shown = {key: stage.made.get(key) for key in defaults}
    shown['DestinationConfig'] = {'OnFailure': {}}
    assert shown == defaults
    stage.reach('Enabled')
    stage.put('a')
    assert stage.heard(lambda out: out) == [['a']]
    until(lambda: stage.state()['LastProcessingResult'] == 'OK')
    changed = stage.functions.update_event_source_mapping(
        UUID=stage.uuid, BatchSize=9, MaximumRetryAttempts=3, MaximumRecordAgeInSeconds=60, ParallelizationFactor=4,
        BisectBatchOnFunctionError=True, FunctionResponseTypes=['ReportBatchItemFailures'],
        MaximumBatchingWindowInSeconds=1, MetricsConfig={'Metrics': ['EventCount']},
        DestinationConfig={'OnFailure': {'Destination': stage.queue_arn(stage.told)}},
        FilterCriteria={'Filters': [{'Pattern': '{"partitionKey": ["k"]}'}]})
    assert changed['State'] == 'Updating'
    stage.reach('Enabled')
    state = stage.state()
    assert (state['BatchSize'], state['MaximumRetryAttempts'], state['ParallelizationFactor']) == (9, 3, 4)
    assert state['FilterCriteria'] == {'Filters': [{'Pattern': '{"partitionKey": ["k"]}'}]}
    assert state['MetricsConfig'] == {'Metrics': ['EventCount']}
    assert state['DestinationConfig']['OnFailure']['Destination'].endswith(name + '-told')
    off = stage.functions.update_event_source_mapping(UUID=stage.uuid, Enabled=False)
    assert off['State'] == 'Disabling'
    stage.reach('Disabled')
    stage.put('b')
    assert stage.functions.update_event_source_mapping(UUID=stage.uuid, Enabled=True)['State'] == 'Enabling'
    assert stage.heard(lambda out: out) == [['b']], 'what came meanwhile is not lost'
    stage.reach('Enabled')
    assert stage.functions.delete_event_source_mapping(UUID=stage.uuid)['State'] == 'Deleting'

    def gone():
        listed = stage.functions.list_event_source_mappings(FunctionName=name)['EventSourceMappings']
        return not listed
    until(gone)
    assert refused(stage.functions.get_event_source_mapping, UUID=stage.uuid)['Code'] == 'ResourceNotFoundException'


def test_what_does_not_go_is_refused_by_name(server, name, until):
    stage = Stage(server, name, until, 'def handler(event, context): pass', Enabled=False)
    stage.reach('Disabled')
    queue = stage.queue_arn(stage.told)

    def why(**settings):
        error = refused(stage.functions.update_event_source_mapping, UUID=stage.uuid, **settings)
        assert error['Code'] == 'InvalidParameterValueException', error
        return error['Message']

    assert why(MaximumRecordAgeInSeconds=59).startswith('MaximumRecordAgeInSeconds')
    assert why(ScalingConfig={'MaximumConcurrency': 2}) == \
        'Unsupported ScalingConfig parameter for given event source mapping type.'
    assert 'KMSKeyArn' in why(KMSKeyArn='arn:aws:kms:us-east-1:000000000000:key/k')
    assert 'S3' in why(DestinationConfig={'OnFailure': {'Destination': 'arn:aws:s3:::bucket'}})
    assert why(FilterCriteria={'Filters': [{'Pattern': '{"data": "x"}'}]}) == 'Invalid filter pattern definition.'
    assert 'ParallelizationFactor' in why(TumblingWindowInSeconds=10, ParallelizationFactor=2)

    def create(**settings):
        return refused(stage.functions.create_event_source_mapping, FunctionName=name, **settings)

    assert create(EventSourceArn=queue, BatchSize=11)['Message'] == \
        'Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10'
    assert create(EventSourceArn=queue, BisectBatchOnFunctionError=True)['Message'] == \
        'Unsupported BisectBatchOnFunctionError parameter for given event source mapping type.'
    table = 'arn:aws:dynamodb:us-east-1:000000000000:table/t/stream/2026-01-01T00:00:00.000'
    assert table in create(EventSourceArn=table, StartingPosition='LATEST')['Message']
    nobody = stage.source + '/consumer/nobody:1'
    assert nobody in create(EventSourceArn=nobody, StartingPosition='LATEST')['Message']
    twin = create(EventSourceArn=stage.source, StartingPosition='LATEST')
    assert twin['Code'] == 'ResourceConflictException' and stage.uuid in twin['Message']


def test_bisecting_finds_the_bad_record_and_tells_the_destination(server, name, until):
    dead = server.client('sqs').create_queue(QueueName=name + '-dead')['QueueUrl']
    arn = server.client('sqs').get_queue_attributes(QueueUrl=dead, AttributeNames=['QueueArn'])['Attributes']['QueueArn']
    stage = Stage(server, name, until, '''
def handler(event, context):
    if 'poison' in texts(event):
        raise ValueError('no')
    tell(texts(event))
''', BisectBatchOnFunctionError=True, MaximumRetryAttempts=1, BatchSize=10, MaximumBatchingWindowInSeconds=1,
        DestinationConfig={'OnFailure': {'Destination': arn}})
    sequences = stage.put('a', 'b', 'c', 'poison', 'd', 'e', 'f')
    [letter] = stage.heard(lambda out: out, url=dead)
    assert letter['version'] == '1.0' and letter['timestamp'].endswith('Z')
    assert letter['requestContext']['condition'] == 'RetryAttemptsExhausted'
    assert letter['requestContext']['functionArn'].endswith(':function:' + name)
    assert letter['responseContext'] == {
        'statusCode': 200, 'executedVersion': '$LATEST', 'functionError': 'Unhandled'}
    info = letter['KinesisBatchInfo']
    assert (info['batchSize'], info['shardId'], info['streamArn']) == (1, 'shardId-000000000000', stage.source)
    assert info['startSequenceNumber'] == info['endSequenceNumber'] == sequences[3]
    told = stage.heard(lambda out: sum(map(len, out)) == 6)
    assert sorted(sum(told, [])) == ['a', 'b', 'c', 'd', 'e', 'f'], 'each of the others once'


def test_partial_failures_go_on_where_they_failed(server, name, until):
    stage = Stage(server, name, until, '''
import os.path
ONCE = '/tmp/' + os.environ['AWS_LAMBDA_FUNCTION_NAME']
def handler(event, context):
    tell(texts(event))
    for record in event['Records']:
        if base64.b64decode(record['kinesis']['data']) == b'c' and not os.path.exists(ONCE):
            open(ONCE, 'w').close()
            return {'batchItemFailures': [{'itemIdentifier': record['kinesis']['sequenceNumber']}]}
    return {'batchItemFailures': []}
''', FunctionResponseTypes=['ReportBatchItemFailures'], MaximumBatchingWindowInSeconds=1)
    stage.put('a', 'b', 'c', 'd')
    told = stage.heard(lambda out: len(out) == 2)
    assert sorted(told, key=len, reverse=True) == [['a', 'b', 'c', 'd'], ['c', 'd']]


def test_a_tumbling_window_sums_up(server, name, until):
    stage = Stage(server, name, until, '''
def handler(event, context):
    if event['isFinalInvokeForWindow']:
        tell({'window': event['window'], 'state': event['state'], 'records': len(event['Records'])})
    state = event['state']
    for text in texts(event):
        state['sum'] = state.get('sum', 0) + int(text)
    return {'state': state}
''', TumblingWindowInSeconds=2, BatchSize=3)
    end, total, number = time.monotonic() + 5, 0, 0
    while time.monotonic() < end:
        number += 1
        total += number
        stage.put(str(number))
        time.sleep(0.2)
    finals = stage.heard(lambda out: sum(f['state'].get('sum', 0) for f in out) == total)
    assert len(finals) >= 2 and all(f['records'] == 0 for f in finals)
    starts = sorted(f['window']['start'] for f in finals)
    assert len(set(starts)) == len(starts), 'each window ends once'


def test_filters_read_the_data(server, name, until):
    stage = Stage(server, name, until, 'def handler(event, context): tell(texts(event))', BatchSize=100,
                  FilterCriteria={'Filters': [
                      {'Pattern': json.dumps({'data': {'order': {'type': ['buy']}}})},
                      {'Pattern': json.dumps({'data': {'price': [{'numeric': ['>', 100]}]}})}]})
    stage.put('{"order": {"type": "sell"}}', '{"order": {"type": "buy"}}', 'buy', b'\xff', '{"price": 101}',
              '{"price": 99}')
    told = stage.heard(lambda out: sum(map(len, out)) == 2)
    assert sum(told, []) == ['{"order": {"type": "buy"}}', '{"price": 101}']
    stage.put('{"order": {"type": "buy"}, "last": 1}')
    assert stage.heard(lambda out: out) == [['{"order": {"type": "buy"}, "last": 1}']]


def test_a_mapping_begins_at_a_time(server, name, until):
    source = make_stream(server, name)
    put = {'StreamName': name, 'PartitionKey': 'k'}
    kinesis = server.client('kinesis')
    kinesis.put_record(Data=b'before', **put)
    time.sleep(1.1)
    since = time.time()
    kinesis.put_record(Data=b'after', **put)
    stage = Stage(server, name, until, 'def handler(event, context): tell(texts(event))', source=source,
                  start='AT_TIMESTAMP', StartingPositionTimestamp=since)
    assert abs(stage.state()['StartingPositionTimestamp'].timestamp() - since) < 0.001
    assert stage.heard(lambda out: out) == [['after']]
    error = refused(stage.functions.create_event_source_mapping, FunctionName=name, EventSourceArn=source,
                    StartingPosition='AT_TIMESTAMP')
    assert 'StartingPositionTimestamp is required' in error['Message']


def test_keys_keep_their_order_in_parallel(server, name, until):
    stage = Stage(server, name, until, '''
import random, time
def handler(event, context):
    time.sleep(random.random() / 20)
    if random.random() < 0.2:
        raise ValueError('now and then')
    tell([[r['kinesis']['partitionKey'], text] for r, text in zip(event['Records'], texts(event))])
''', ParallelizationFactor=5, BatchSize=4, start='LATEST')
    stage.reach('Enabled')
    for i in range(20):
        for key in 'abcdef':
            stage.put(str(i), key=key)
    told = stage.heard(lambda out: sum(map(len, out)) >= 120, patience=120)
    for key in 'abcdef':
        of_key = [int(text) for batch in told for k, text in batch if k == key]
        assert sorted(of_key) == list(range(20)), 'each once: what failed told nothing'


def test_a_queue_triggers_and_keeps_what_failed(server, name, until):
    sqs = server.client('sqs')
    url = sqs.create_queue(QueueName=name, Attributes={'VisibilityTimeout': '10'})['QueueUrl']
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=['QueueArn'])['Attributes']['QueueArn']
    stage = Stage(server, name, until, '''
def handler(event, context):
    tell([[r['body'], r['attributes']['ApproximateReceiveCount'], r['eventSource'], r['eventSourceARN'],
           r['messageAttributes'].get('n', {}).get('stringValue'), r['md5OfBody']] for r in event['Records']])
    bad = [r['messageId'] for r in event['Records']
           if r['body'] == 'bad' and r['attributes']['ApproximateReceiveCount'] == '1']
    return {'batchItemFailures': [{'itemIdentifier': i} for i in bad]}
''', source=arn, FunctionResponseTypes=['ReportBatchItemFailures'], BatchSize=20, MaximumBatchingWindowInSeconds=1,
        FilterCriteria={'Filters': [{'Pattern': json.dumps({'body': ['good', 'bad']})}]},
        ScalingConfig={'MaximumConcurrency': 2})
    assert stage.made['StateTransitionReason'] == 'USER_INITIATED'
    assert stage.made['ScalingConfig'] == {'MaximumConcurrency': 2} and 'StartingPosition' not in stage.made
    sqs.send_message(QueueUrl=url, MessageBody='good',
                     MessageAttributes={'n': {'DataType': 'Number', 'StringValue': '7'}})
    sqs.send_message(QueueUrl=url, MessageBody='bad')
    sqs.send_message(QueueUrl=url, MessageBody='unwanted')
    told = sum(stage.heard(lambda out: sum(map(len, out)) == 3), [])
    assert sorted((body, count) for body, count, *_ in told) == [('bad', '1'), ('bad', '2'), ('good', '1')]
    [good] = [message for message in told if message[0] == 'good']
    assert good[2:] == ['aws:sqs', arn, '7', '755f85c2723bb39381c7379a604160d8']

    def left():
        names = ['ApproximateNumberOfMessages', 'ApproximateNumberOfMessagesNotVisible']
        counts = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)['Attributes']
        return all(count == '0' for count in counts.values())
    until(left)


def test_a_fifo_queue_keeps_its_groups_in_order(server, name, until):
    sqs = server.client('sqs')
    attributes = {'FifoQueue': 'true', 'ContentBasedDeduplication': 'true', 'VisibilityTimeout': '11'}
    url = sqs.create_queue(QueueName=name + '.fifo', Attributes=attributes)['QueueUrl']
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=['QueueArn'])['Attributes']['QueueArn']
    stage = Stage(server, name, until, '''
def handler(event, context):
    tell([[r['attributes']['MessageGroupId'], r['body']] for r in event['Records']])
''', source=arn, BatchSize=2)
    for i in range(6):
        for group in 'ab':
            sqs.send_message(QueueUrl=url, MessageBody='{}-{}'.format(group, i), MessageGroupId=group)
    told = sum(stage.heard(lambda out: sum(map(len, out)) == 12), [])
    for group in 'ab':
        assert sorted(body for g, body in told if g == group) == ['{}-{}'.format(group, i) for i in range(6)]
    window = refused(stage.functions.update_event_source_mapping, UUID=stage.uuid, MaximumBatchingWindowInSeconds=1)
    assert window['Message'] == 'Batching window is not supported for FIFO queues'


def test_a_deleted_stream_disables_its_mapping(server, name, until):
    stage = Stage(server, name, until, 'def handler(event, context): tell(texts(event))')
    stage.reach('Enabled')
    stage.put('a')
    stage.heard(lambda out: out)
    stage.kinesis.delete_stream(StreamName=name)
    stage.reach('Disabled')
    assert 'was deleted' in stage.state()['StateTransitionReason']
    assert stage.state()['LastProcessingResult'] == 'PROBLEM: The stream does not exist.'
    stage.kinesis.get_waiter('stream_not_exists').wait(StreamName=name, WaiterConfig={'Delay': 1})
    make_stream(server, name)
    stage.put('b')
    stage.functions.update_event_source_mapping(UUID=stage.uuid, Enabled=True)
    assert stage.heard(lambda out: out) == [['b']], 'enabled anew, it begins anew'


def test_a_reshard_and_a_restart_lose_nothing(fresh, name, until):
    server = fresh()
    stage = Stage(server, name, until, '''
def handler(event, context):
    tell([[r['kinesis']['partitionKey'], text] for r, text in zip(event['Records'], texts(event))])
''', start='LATEST', BatchSize=10)
    stage.reach('Enabled')
    keys = ['k{}'.format(i) for i in range(8)]

    def burst(first, last):
        for i in range(first, last):
            for key in keys:
                stage.put(str(i), key=key)

    burst(0, 5)
    stage.kinesis.update_shard_count(StreamName=name, TargetShardCount=2, ScalingType='UNIFORM_SCALING')
    stage.kinesis.get_waiter('stream_exists').wait(StreamName=name, WaiterConfig={'Delay': 1})
    burst(5, 10)
    server.kill()
    server.start()
    burst(10, 15)

    def all_there(out):
        seen = {(key, text) for batch in out for key, text in batch}
        return len(seen) == 15 * len(keys)
    stage.heard(all_there, patience=60)
