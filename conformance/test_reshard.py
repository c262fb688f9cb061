"""Shards split, merge and scale under boto3 while producers put; all is read back through the lineage."""

import hashlib
import threading

import pytest
from botocore.exceptions import ClientError


@pytest.fixture
def server(fresh):
    # Its readers ask more often than five times a second.
    return fresh('--limits', 'off')


@pytest.fixture
def kinesis(server):
    return server.client('kinesis', max_pool_connections=20)


def create(kinesis, name, shards):
    kinesis.create_stream(StreamName=name, ShardCount=shards)
    kinesis.get_waiter('stream_exists').wait(StreamName=name, WaiterConfig={'Delay': 1})


def settle(kinesis, name):
    kinesis.get_waiter('stream_exists').wait(StreamName=name, WaiterConfig={'Delay': 1})


def shards_of(kinesis, name, **more):
    # Not boto3's paginator: it repeats StreamName beside NextToken, which AWS refuses.
    page = kinesis.list_shards(StreamName=name, MaxResults=3, **more)
    shards = page['Shards']
    while 'NextToken' in page:
        page = kinesis.list_shards(NextToken=page['NextToken'], MaxResults=3)
        shards += page['Shards']
    return {shard['ShardId']: shard for shard in shards}


def drain(kinesis, name, shard):
    """All records of a shard, and its children where it has ended."""
    iterator = kinesis.get_shard_iterator(StreamName=name, ShardId=shard, ShardIteratorType='TRIM_HORIZON')
    iterator, records = iterator['ShardIterator'], []
    while True:
        answer = kinesis.get_records(ShardIterator=iterator, Limit=100)
        records += answer['Records']
        iterator = answer.get('NextShardIterator')
        if iterator is None:
            return records, answer['ChildShards']
        if not answer['Records']:
            return records, None


def read_lineage(kinesis, name):
    """Walks as a consumer does: from the roots, a shard when all its listed parents are done, children as ChildShards say."""
    listed, read, out = shards_of(kinesis, name), set(), []
    parents = {
        key: {shard.get('ParentShardId'), shard.get('AdjacentParentShardId')} & listed.keys()
        for key, shard in listed.items()}
    told = {key for key in listed if not parents[key]}
    while told - read:
        ready = sorted(key for key in told - read if parents[key] <= read)
        assert ready, 'somebody waits for a parent that nobody told of'
        for key in ready:
            records, children = drain(kinesis, name, key)
            shard = listed[key]
            low, high = (int(shard['HashKeyRange'][k]) for k in ('StartingHashKey', 'EndingHashKey'))
            for record in records:
                place = int.from_bytes(hashlib.md5(record['PartitionKey'].encode()).digest(), 'big')
                assert low <= place <= high
            out += records
            read.add(key)
            ended = 'EndingSequenceNumber' in shard['SequenceNumberRange']
            assert ended == (children is not None)
            told |= {child['ShardId'] for child in children or []}
    assert read == listed.keys()
    return out


def test_counts_go_up_and_down_while_producers_put(kinesis):
    create(kinesis, 'orders', 2)
    stop, put, failed = threading.Event(), {}, []

    def produce(producer):
        try:
            n = 0
            while not stop.is_set():
                keys = ['{}-{}'.format(producer, (n + i) % 17) for i in range(10)]
                records = [{'PartitionKey': key, 'Data': b'%d' % (n + i)} for i, key in enumerate(keys)]
                answer = kinesis.put_records(StreamName='orders', Records=records)
                assert answer['FailedRecordCount'] == 0
                for record in records:
                    put.setdefault(record['PartitionKey'], []).append(record['Data'])
                n += 10
        except Exception as error:  # told to the test, which is another thread
            failed.append(error)

    threads = [threading.Thread(target=produce, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    try:
        for before, target in [(2, 4), (4, 8), (8, 5), (5, 3), (3, 6), (6, 4)]:
            answer = kinesis.update_shard_count(
                StreamName='orders', TargetShardCount=target, ScalingType='UNIFORM_SCALING')
            assert (answer['CurrentShardCount'], answer['TargetShardCount']) == (before, target)
            settle(kinesis, 'orders')
            assert len(shards_of(kinesis, 'orders', ShardFilter={'Type': 'AT_LATEST'})) == target
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not failed
    got = {}
    for record in read_lineage(kinesis, 'orders'):
        got.setdefault(record['PartitionKey'], []).append(record['Data'])
    assert sum(map(len, put.values())) > 1000
    assert got == put


def test_a_split_and_a_merge_bring_the_range_back(server, kinesis):
    create(kinesis, 'orders', 1)
    kinesis.put_record(StreamName='orders', PartitionKey='a', Data=b'1')
    kinesis.split_shard(
        StreamName='orders', ShardToSplit='shardId-000000000000', NewStartingHashKey=str(1 << 127))
    assert kinesis.describe_stream_summary(StreamName='orders')['StreamDescriptionSummary']['StreamStatus'] in (
        'UPDATING', 'ACTIVE')
    settle(kinesis, 'orders')
    kinesis.put_record(StreamName='orders', PartitionKey='a', Data=b'2')
    arn = kinesis.describe_stream_summary(StreamName='orders')['StreamDescriptionSummary']['StreamARN']
    kinesis.merge_shards(
        StreamARN=arn, ShardToMerge='shardId-000000000001', AdjacentShardToMerge='shardId-000000000002')
    settle(kinesis, 'orders')
    kinesis.put_record(StreamName='orders', PartitionKey='a', Data=b'3')
    assert [r['Data'] for r in read_lineage(kinesis, 'orders')] == [b'1', b'2', b'3']
    tail = server.own('tail?what=orders&from=start')
    assert [line['text'] for line in tail['lines']] == ['1', '2', '3']
    last = shards_of(kinesis, 'orders')['shardId-000000000003']
    assert last['HashKeyRange'] == {'StartingHashKey': '0', 'EndingHashKey': str((1 << 128) - 1)}
    assert (last['ParentShardId'], last['AdjacentParentShardId']) == ('shardId-000000000001', 'shardId-000000000002')
    with pytest.raises(ClientError) as error:
        kinesis.merge_shards(
            StreamName='orders', ShardToMerge='shardId-000000000001', AdjacentShardToMerge='shardId-000000000002')
    assert error.value.response['Error']['Code'] == 'InvalidArgumentException'
    assert 'already been merged or split' in error.value.response['Error']['Message']


def test_a_killed_server_comes_back_with_every_shard(server, kinesis):
    create(kinesis, 'orders', 4)
    put = {}
    for n in range(40):
        kinesis.put_record(StreamName='orders', PartitionKey=str(n % 7), Data=b'%d' % n)
        put.setdefault(str(n % 7), []).append(b'%d' % n)
        if n == 20:
            kinesis.update_shard_count(StreamName='orders', TargetShardCount=7, ScalingType='UNIFORM_SCALING')
            server.kill()
            server.start()
            settle(kinesis, 'orders')
    assert len(shards_of(kinesis, 'orders', ShardFilter={'Type': 'AT_LATEST'})) == 7
    got = {}
    for record in read_lineage(kinesis, 'orders'):
        got.setdefault(record['PartitionKey'], []).append(record['Data'])
    assert got == put


def test_the_control_plane_answers_as_clients_expect(kinesis):
    create(kinesis, 'orders', 1)
    arn = kinesis.describe_stream_summary(StreamName='orders')['StreamDescriptionSummary']['StreamARN']
    on = kinesis.enable_enhanced_monitoring(StreamARN=arn, ShardLevelMetrics=['ALL'])
    assert on['CurrentShardLevelMetrics'] == [] and len(on['DesiredShardLevelMetrics']) == 7
    off = kinesis.disable_enhanced_monitoring(StreamName='orders', ShardLevelMetrics=['IncomingBytes'])
    assert len(off['DesiredShardLevelMetrics']) == 6
    kinesis.update_max_record_size(StreamARN=arn, MaxRecordSizeInKiB=2048)
    kinesis.put_record(StreamName='orders', PartitionKey='k', Data=bytes(2_000_000))
    kinesis.update_stream_mode(StreamARN=arn, StreamModeDetails={'StreamMode': 'ON_DEMAND'})
    settle(kinesis, 'orders')
    with pytest.raises(ClientError) as error:
        kinesis.update_shard_count(StreamName='orders', TargetShardCount=2, ScalingType='UNIFORM_SCALING')
    assert error.value.response['Error']['Code'] == 'ValidationException'
    assert kinesis.describe_account_settings()['MinimumThroughputBillingCommitment']['Status'] == 'DISABLED'
    with pytest.raises(kinesis.exceptions.ResourceNotFoundException):
        kinesis.get_resource_policy(ResourceARN=arn)
    limits = kinesis.describe_limits()
    assert limits['OnDemandStreamCount'] == 1 and limits['OpenShardCount'] >= 1
    with pytest.raises(ClientError) as error:
        kinesis.list_queues()
    assert error.value.response['Error']['Code'] not in ('InternalFailure', 'SerializationException')
