"""Enhanced fan-out with real clients: boto3 over HTTP/1.1, the SDK for JavaScript over HTTP/2, a function's mapping."""

import base64
import json
import subprocess
import threading
import time

import botocore.exceptions
import httpx
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.eventstream import EventStreamBuffer

from test_mappings import Stage
from test_pipeline import make_stream


def make_consumer(kinesis, stream, name, until):
    made = kinesis.register_stream_consumer(StreamARN=stream, ConsumerName=name)['Consumer']
    assert made['ConsumerStatus'] == 'CREATING'
    arn = made['ConsumerARN']

    def active():
        return kinesis.describe_stream_consumer(ConsumerARN=arn)['ConsumerDescription']['ConsumerStatus'] == 'ACTIVE'

    until(active)
    return arn


def put(kinesis, name, *texts, key='k'):
    records = [{'Data': text.encode(), 'PartitionKey': key} for text in texts]
    assert kinesis.put_records(StreamName=name, Records=records)['FailedRecordCount'] == 0


def test_boto3_is_pushed_what_is_put(server, name, until):
    kinesis = server.client('kinesis')
    stream = make_stream(server, name)
    consumer = make_consumer(kinesis, stream, 'reader', until)
    assert consumer.startswith(stream + '/consumer/reader:')
    put(kinesis, name, 'before')
    start = {'Type': 'TRIM_HORIZON'}
    shard = 'shardId-000000000000'
    answer = kinesis.subscribe_to_shard(ConsumerARN=consumer, ShardId=shard, StartingPosition=start)
    with pytest.raises(botocore.exceptions.ClientError) as error:
        kinesis.subscribe_to_shard(ConsumerARN=consumer, ShardId=shard, StartingPosition=start)
    assert error.value.response['Error']['Code'] == 'ResourceInUseException'

    def put_more():
        time.sleep(0.2)
        put(server.client('kinesis'), name, 'after')

    threading.Thread(target=put_more).start()
    seen = []
    for event in answer['EventStream']:
        event = event['SubscribeToShardEvent']
        assert event['ContinuationSequenceNumber'] and event['MillisBehindLatest'] == 0
        seen += [record['Data'].decode() for record in event['Records']]
        if 'after' in seen:
            break
    answer['EventStream'].close()
    assert seen == ['before', 'after']


def test_boto3_is_told_where_a_shard_ends(server, name, until):
    kinesis = server.client('kinesis')
    consumer = make_consumer(kinesis, make_stream(server, name), 'reader', until)
    put(kinesis, name, 'last')
    answer = kinesis.subscribe_to_shard(
        ConsumerARN=consumer, ShardId='shardId-000000000000', StartingPosition={'Type': 'TRIM_HORIZON'})
    kinesis.split_shard(StreamName=name, ShardToSplit='shardId-000000000000', NewStartingHashKey=str(1 << 127))
    events = [event['SubscribeToShardEvent'] for event in answer['EventStream']]
    assert [record['Data'] for event in events for record in event['Records']] == [b'last']
    children = [child['ShardId'] for child in events[-1]['ChildShards']]
    assert children == ['shardId-000000000001', 'shardId-000000000002']
    assert 'ContinuationSequenceNumber' not in events[-1]


def test_consumers_in_boto3(server, name, until):
    kinesis = server.client('kinesis')
    stream = make_stream(server, name)
    arn = make_consumer(kinesis, stream, 'one', until)
    make_consumer(kinesis, stream, 'two', until)
    pages = kinesis.get_paginator('list_stream_consumers').paginate(
        StreamARN=stream, PaginationConfig={'PageSize': 1})
    assert [consumer['ConsumerName'] for page in pages for consumer in page['Consumers']] == ['one', 'two']
    kinesis.tag_resource(ResourceARN=arn, Tags={'team': 'blue'})
    assert kinesis.list_tags_for_resource(ResourceARN=arn)['Tags'] == [{'Key': 'team', 'Value': 'blue'}]
    with pytest.raises(kinesis.exceptions.ResourceInUseException):
        kinesis.delete_stream(StreamName=name)
    kinesis.deregister_stream_consumer(StreamARN=stream, ConsumerName='one')

    def gone():
        try:
            kinesis.describe_stream_consumer(ConsumerARN=arn)
        except kinesis.exceptions.ResourceNotFoundException:
            return True

    until(gone)
    kinesis.delete_stream(StreamName=name, EnforceConsumerDeletion=True)


def test_events_over_h2c(server, name, until):
    """Byte by byte over HTTP/2, for the stream's framing and the answer's head."""
    kinesis = server.client('kinesis')
    consumer = make_consumer(kinesis, make_stream(server, name), 'reader', until)
    put(kinesis, name, 'x')
    body = json.dumps({'ConsumerARN': consumer, 'ShardId': 'shardId-000000000000',
                       'StartingPosition': {'Type': 'TRIM_HORIZON'}}).encode()
    headers = {'X-Amz-Target': 'Kinesis_20131202.SubscribeToShard', 'Content-Type': 'application/x-amz-json-1.1'}
    request = AWSRequest('POST', server.endpoint + '/', data=body, headers=headers)
    SigV4Auth(Credentials('test', 'test'), 'kinesis', 'us-east-1').add_auth(request)
    buffer, kinds = EventStreamBuffer(), []
    with httpx.Client(http1=False, http2=True) as client:
        with client.stream('POST', server.endpoint + '/', content=body, headers=dict(request.headers)) as answer:
            assert answer.status_code == 200 and answer.http_version == 'HTTP/2'
            assert answer.headers['content-type'] == 'application/vnd.amazon.eventstream'
            for piece in answer.iter_bytes():
                buffer.add_data(piece)
                kinds += [(event.headers[':event-type'], event.payload) for event in buffer]
                if len(kinds) == 2:
                    break
    assert kinds[0] == ('initial-response', b'{}')
    assert kinds[1][0] == 'SubscribeToShardEvent'
    assert base64.b64decode(json.loads(kinds[1][1])['Records'][0]['Data']) == b'x'


def test_a_subscription_ends_with_the_server(fresh, name, until):
    server = fresh()
    kinesis = server.client('kinesis')
    consumer = make_consumer(kinesis, make_stream(server, name), 'reader', until)
    answer = kinesis.subscribe_to_shard(
        ConsumerARN=consumer, ShardId='shardId-000000000000', StartingPosition={'Type': 'LATEST'})
    events = iter(answer['EventStream'])
    assert next(events)['SubscribeToShardEvent']['Records'] == []
    assert server.stop() == 0
    assert list(events) == [], 'it ends between two events, and not in the middle of one'


def test_a_mapping_reads_through_a_consumer(server, name, until):
    kinesis = server.client('kinesis')
    stream = make_stream(server, name)
    consumer = make_consumer(kinesis, stream, 'mapping', until)
    stage = Stage(server, name, until, 'def handler(event, context): tell(texts(event))', source=consumer)
    assert stage.made['EventSourceArn'] == consumer
    stage.put('a', 'b')
    heard = stage.heard(lambda told: len([text for batch in told for text in batch]) >= 2)
    assert [text for batch in heard for text in batch] == ['a', 'b']


READER = '''
import { KinesisClient, SubscribeToShardCommand } from '@aws-sdk/client-kinesis';
const [endpoint, ConsumerARN, wanted] = process.argv.slice(2);
const kinesis = new KinesisClient({
  endpoint, region: 'us-east-1', credentials: { accessKeyId: 'test', secretAccessKey: 'test' } });
const say = (line) => process.stdout.write(JSON.stringify(line) + '\\n');
let start = { Type: 'TRIM_HORIZON' }, seen = 0;
const answer = await kinesis.send(new SubscribeToShardCommand({
  ConsumerARN, ShardId: 'shardId-000000000000', StartingPosition: start }));
say({ status: answer.$metadata.httpStatusCode, handler: kinesis.config.requestHandler.constructor.name });
for await (const event of answer.EventStream) {
  for (const record of event.SubscribeToShardEvent.Records) {
    say(Buffer.from(record.Data).toString());
    seen += 1;
  }
  if (seen >= Number(wanted)) break;
}
kinesis.destroy();
process.exit(0);
'''


def test_the_sdk_for_javascript_is_pushed_over_http2(server, name, until, javascript):
    kinesis = server.client('kinesis')
    consumer = make_consumer(kinesis, make_stream(server, name), 'reader', until)
    put(kinesis, name, '0', '1')
    script = javascript / 'reader.mjs'
    script.write_text(READER)
    reader = subprocess.Popen(['node', str(script), server.endpoint, consumer, '50'], stdout=subprocess.PIPE, text=True)
    try:
        head = json.loads(reader.stdout.readline())
        assert head == {'status': 200, 'handler': 'NodeHttp2Handler'}
        seen = [json.loads(reader.stdout.readline()) for _ in range(2)]
        for i in range(2, 50):
            put(kinesis, name, str(i))
        seen += [json.loads(reader.stdout.readline()) for _ in range(48)]
        assert seen == [str(i) for i in range(50)]
        assert reader.wait(timeout=30) == 0
    finally:
        reader.kill()
        reader.wait()
