"""Encryption at rest, as boto3 asks for it and as a thief of the disk finds it."""

import os

import pytest
from botocore.exceptions import ClientError

KEY = 'alias/aws/kinesis'


def config(tmp_path, current, previous=None):
    """A configuration with a master key, and the one before it."""
    lines = ['[encryption]']
    for setting, content in (('master_key_file', current), ('previous_master_key_file', previous)):
        if content:
            file = tmp_path / 'key-{}'.format(content[:2])
            file.write_text(content + '\n')
            lines.append('{} = "{}"'.format(setting, file))
    file = tmp_path / 'headwater.toml'
    file.write_text('\n'.join(lines) + '\n')
    return ('--config', str(file))


def settle(kinesis, name):
    kinesis.get_waiter('stream_exists').wait(StreamName=name, WaiterConfig={'Delay': 1})


def drain(kinesis, name):
    iterator = kinesis.get_shard_iterator(
        StreamName=name, ShardId='shardId-000000000000', ShardIteratorType='TRIM_HORIZON')['ShardIterator']
    return kinesis.get_records(ShardIterator=iterator)['Records']


def on_disk(data_dir, text):
    return any(text in file.read_bytes() for file in data_dir.rglob('*') if file.is_file())


def test_a_copy_of_the_disk_yields_nothing(fresh, tmp_path):
    old, new = os.urandom(32).hex(), os.urandom(32).hex()
    server = fresh(*config(tmp_path, old))
    kinesis = server.client('kinesis')
    kinesis.create_stream(StreamName='s', ShardCount=1)
    settle(kinesis, 's')
    assert 'EncryptionType' not in kinesis.put_record(StreamName='s', PartitionKey='a', Data=b'open and plain')
    kinesis.start_stream_encryption(StreamName='s', EncryptionType='KMS', KeyId=KEY)
    settle(kinesis, 's')
    described = kinesis.describe_stream(StreamName='s')['StreamDescription']
    assert (described['EncryptionType'], described['KeyId']) == ('KMS', KEY)
    assert kinesis.put_record(StreamName='s', PartitionKey='b', Data=b'hush, a secret')['EncryptionType'] == 'KMS'
    many = kinesis.put_records(StreamName='s', Records=[{'PartitionKey': 'b', 'Data': b'hush too'}] * 3)
    assert many['EncryptionType'] == 'KMS'
    kinesis.stop_stream_encryption(StreamName='s', EncryptionType='KMS', KeyId=KEY)
    settle(kinesis, 's')
    assert kinesis.describe_stream_summary(StreamName='s')['StreamDescriptionSummary']['EncryptionType'] == 'NONE'
    kinesis.put_record(StreamName='s', PartitionKey='c', Data=b'plain again')
    expected = [(b'open and plain', None), (b'hush, a secret', 'KMS')] + [(b'hush too', 'KMS')] * 3 + [
        (b'plain again', None)]
    assert [(r['Data'], r.get('EncryptionType')) for r in drain(kinesis, 's')] == expected
    assert on_disk(server.data_dir, b'open and plain') and on_disk(server.data_dir, b'plain again')
    assert not on_disk(server.data_dir, b'hush')
    server.kill()

    for wrong in ((), config(tmp_path, new)):
        server.extra = wrong
        with pytest.raises(RuntimeError, match='master key'):
            server.start()
    server.extra = config(tmp_path, new, old)
    server.start()
    server.stop()
    server.extra = config(tmp_path, new)
    server.start()
    assert [(r['Data'], r.get('EncryptionType')) for r in drain(server.client('kinesis'), 's')] == expected


def test_without_a_master_key_it_says_what_to_configure(server, name):
    kinesis = server.client('kinesis')
    kinesis.create_stream(StreamName=name, ShardCount=1)
    settle(kinesis, name)
    with pytest.raises(ClientError, match='master_key_file') as refused:
        kinesis.start_stream_encryption(StreamName=name, EncryptionType='KMS', KeyId=KEY)
    assert refused.value.response['Error']['Code'] == 'KMSNotFoundException'
    with pytest.raises(kinesis.exceptions.InvalidArgumentException):
        kinesis.stop_stream_encryption(StreamName=name, EncryptionType='KMS', KeyId=KEY)
