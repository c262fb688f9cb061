"""Kinesis Data Streams through boto3."""

import pytest
from botocore.exceptions import ClientError
from test_protocols import ask


@pytest.fixture
def stream(server, name):
    kinesis = server.client('kinesis')
    kinesis.create_stream(StreamName=name, ShardCount=2)
    kinesis.get_waiter('stream_exists').wait(StreamName=name, WaiterConfig={'Delay': 1})
    return name


def read_all(kinesis, stream, kind='TRIM_HORIZON', **extra):
    records = []
    for shard in kinesis.list_shards(StreamName=stream)['Shards']:
        iterator = kinesis.get_shard_iterator(
            StreamName=stream, ShardId=shard['ShardId'], ShardIteratorType=kind, **extra)['ShardIterator']
        answer = kinesis.get_records(ShardIterator=iterator)
        assert answer['MillisBehindLatest'] == 0
        assert answer['NextShardIterator']
        records += answer['Records']
    return records


def test_records_go_in_and_come_out_in_order(server, stream):
    kinesis = server.client('kinesis')
    put = [kinesis.put_record(StreamName=stream, Data=b'%d' % i, PartitionKey='one') for i in range(20)]
    assert len({p['ShardId'] for p in put}) == 1
    numbers = [int(p['SequenceNumber']) for p in put]
    assert numbers == sorted(numbers) and len(set(numbers)) == 20
    assert all(len(p['SequenceNumber']) == 56 and p['SequenceNumber'].startswith('49') for p in put)
    got = read_all(kinesis, stream)
    assert [r['Data'] for r in got] == [b'%d' % i for i in range(20)]
    assert [r['SequenceNumber'] for r in got] == [p['SequenceNumber'] for p in put]


def test_put_records_spreads_over_shards(server, stream):
    kinesis = server.client('kinesis')
    records = [{'Data': bytes([i]), 'PartitionKey': str(i)} for i in range(100)]
    answer = kinesis.put_records(StreamName=stream, Records=records)
    assert answer['FailedRecordCount'] == 0
    assert {r['ShardId'] for r in answer['Records']} == {'shardId-000000000000', 'shardId-000000000001'}
    assert sorted(r['Data'] for r in read_all(kinesis, stream)) == sorted(r['Data'] for r in records)


def test_all_five_iterators(fresh):
    # Five reads a second is what a shard gives; this test reads faster.
    kinesis, stream = fresh('--limits', 'off').client('kinesis'), 'orders'
    kinesis.create_stream(StreamName=stream, ShardCount=2)
    kinesis.get_waiter('stream_exists').wait(StreamName=stream, WaiterConfig={'Delay': 1})
    put = [kinesis.put_record(StreamName=stream, Data=b'%d' % i, PartitionKey='k') for i in range(3)]
    shard = put[0]['ShardId']

    def read(kind, **extra):
        iterator = kinesis.get_shard_iterator(
            StreamName=stream, ShardId=shard, ShardIteratorType=kind, **extra)['ShardIterator']
        return iterator, [r['Data'] for r in kinesis.get_records(ShardIterator=iterator)['Records']]

    middle = put[1]['SequenceNumber']
    assert read('TRIM_HORIZON')[1] == [b'0', b'1', b'2']
    assert read('AT_SEQUENCE_NUMBER', StartingSequenceNumber=middle)[1] == [b'1', b'2']
    assert read('AFTER_SEQUENCE_NUMBER', StartingSequenceNumber=middle)[1] == [b'2']
    assert read('AT_TIMESTAMP', Timestamp=0)[1] == [b'0', b'1', b'2']
    latest, nothing = read('LATEST')
    assert nothing == []
    kinesis.put_record(StreamName=stream, Data=b'new', PartitionKey='k')
    assert [r['Data'] for r in kinesis.get_records(ShardIterator=latest)['Records']] == [b'new']


def test_errors_have_aws_codes_and_texts(server, name):
    kinesis = server.client('kinesis')
    with pytest.raises(ClientError) as missing:
        kinesis.describe_stream_summary(StreamName=name)
    error = missing.value.response['Error']
    assert error['Code'] == 'ResourceNotFoundException'
    assert error['Message'] == 'Stream {} under account 000000000000 not found.'.format(name)
    with pytest.raises(ClientError) as twice:
        kinesis.create_stream(StreamName=name, ShardCount=1)
        kinesis.create_stream(StreamName=name, ShardCount=1)
    assert twice.value.response['Error']['Code'] == 'ResourceInUseException'
    with pytest.raises(ClientError) as broken:
        kinesis.get_records(ShardIterator='nonsense')
    assert broken.value.response['Error']['Code'] == 'InvalidArgumentException'


def test_validation_speaks_as_aws(server):
    kinesis = server.client('kinesis', parameter_validation=False)
    with pytest.raises(ClientError) as refused:
        kinesis.create_stream(StreamName='a b', ShardCount=0)
    error = refused.value.response['Error']
    assert error['Code'] == 'ValidationException'
    assert error['Message'].startswith('2 validation errors detected: ')
    assert ("Value 'a b' at 'streamName' failed to satisfy constraint: "
            'Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+') in error['Message']
    assert ("Value '0' at 'shardCount' failed to satisfy constraint: "
            'Member must have value greater than or equal to 1') in error['Message']


@pytest.mark.parametrize('operation', ['CreateQueue', 'ReceiveQueueRecords', 'CreateChannel'])
def test_what_is_not_served_says_so_by_name(server, operation):
    headers = {'X-Amz-Target': 'Kinesis_20131202.' + operation, 'Content-Type': 'application/x-amz-json-1.1'}
    answer = ask(server, 'kinesis', headers, b'{}')
    assert answer.status_code == 501 and operation in answer.json()['message'], answer.text


def test_a_shard_takes_a_megabyte_a_second(server, name, until):
    kinesis = server.client('kinesis')
    kinesis.create_stream(StreamName=name, ShardCount=1)
    kinesis.get_waiter('stream_exists').wait(StreamName=name, WaiterConfig={'Delay': 1})
    answer = kinesis.put_records(
        StreamName=name, Records=[{'Data': b'x' * 500_000, 'PartitionKey': 'k'} for _ in range(6)])
    failed = [r for r in answer['Records'] if 'ErrorCode' in r]
    assert answer['FailedRecordCount'] == len(failed) > 0
    assert {r['ErrorCode'] for r in failed} == {'ProvisionedThroughputExceededException'}
    assert any('SequenceNumber' in r for r in answer['Records'])


def test_tags_and_retention(server, stream):
    kinesis = server.client('kinesis')
    kinesis.add_tags_to_stream(StreamName=stream, Tags={'team': 'water'})
    assert kinesis.list_tags_for_stream(StreamName=stream)['Tags'] == [{'Key': 'team', 'Value': 'water'}]
    kinesis.increase_stream_retention_period(StreamName=stream, RetentionPeriodHours=48)
    summary = kinesis.describe_stream_summary(StreamName=stream)['StreamDescriptionSummary']
    assert summary['RetentionPeriodHours'] == 48 and summary['OpenShardCount'] == 2
