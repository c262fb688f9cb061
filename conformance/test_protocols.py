"""The same operations over other protocols than boto3's: h2c with prior knowledge, CBOR, Smithy RPC."""

import json

import cbor2
import httpx
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials


def ask(server, service, headers, body, path='/', http2=False, method='POST'):
    request = AWSRequest(method, server.endpoint + path, data=body, headers=headers)
    SigV4Auth(Credentials('test', 'test'), service, 'us-east-1').add_auth(request)
    with httpx.Client(http1=not http2, http2=http2) as client:
        answer = client.request(method, server.endpoint + path, content=body, headers=dict(request.headers))
    assert answer.http_version == ('HTTP/2' if http2 else 'HTTP/1.1')
    return answer


@pytest.fixture
def stream(server, name):
    kinesis = server.client('kinesis')
    kinesis.create_stream(StreamName=name, ShardCount=1)
    kinesis.get_waiter('stream_exists').wait(StreamName=name, WaiterConfig={'Delay': 1})
    return name


@pytest.mark.parametrize('http2', [False, True], ids=['http1', 'h2c'])
def test_kinesis_in_cbor(server, stream, http2):
    def cbor(operation, **members):
        headers = {'X-Amz-Target': 'Kinesis_20131202.' + operation, 'Content-Type': 'application/x-amz-cbor-1.1'}
        answer = ask(server, 'kinesis', headers, cbor2.dumps(members), http2=http2)
        assert answer.headers['content-type'] == 'application/x-amz-cbor-1.1'
        # Kinesis writes times as milliseconds behind the tag for seconds, which is what the AWS SDKs read.
        plain = answer.content.replace(b'\xc1\x1b', b'\x1b')
        return answer.status_code, cbor2.loads(plain) if plain else None

    status, put = cbor('PutRecord', StreamName=stream, Data=b'\x00\xff', PartitionKey='k')
    assert status == 200 and put['ShardId'] == 'shardId-000000000000'
    _, iterator = cbor(
        'GetShardIterator', StreamName=stream, ShardId=put['ShardId'], ShardIteratorType='TRIM_HORIZON')
    _, got = cbor('GetRecords', ShardIterator=iterator['ShardIterator'])
    assert [(r['Data'], r['SequenceNumber']) for r in got['Records']] == [(b'\x00\xff', put['SequenceNumber'])]
    status, refused = cbor('DescribeStreamSummary', StreamName=stream + '-not')
    assert status == 400 and refused['__type'] == 'ResourceNotFoundException'


def test_json_over_h2c(server, stream):
    headers = {'X-Amz-Target': 'Kinesis_20131202.ListStreams', 'Content-Type': 'application/x-amz-json-1.1'}
    answer = ask(server, 'kinesis', headers, b'{}', http2=True)
    assert answer.status_code == 200 and stream in answer.json()['StreamNames']
    assert answer.headers['x-amzn-requestid']


def test_smithy_rpc(server, stream):
    headers = {'smithy-protocol': 'rpc-v2-cbor', 'Content-Type': 'application/cbor', 'Accept': 'application/cbor'}
    answer = ask(server, 'kinesis', headers, cbor2.dumps({}), path='/service/Kinesis/operation/ListStreams')
    assert answer.status_code == 200 and answer.headers['smithy-protocol'] == 'rpc-v2-cbor'
    assert stream in cbor2.loads(answer.content)['StreamNames']


def test_sqs_speaks_query_too(server, name):
    headers = {'Content-Type': 'application/x-www-form-urlencoded; charset=utf-8'}
    body = 'Action=CreateQueue&Version=2012-11-05&QueueName={}&Attribute.1.Name=VisibilityTimeout&Attribute.1.Value=5'
    answer = ask(server, 'sqs', headers, body.format(name).encode())
    assert answer.status_code == 200 and '<QueueUrl>' in answer.text
    url = server.client('sqs').get_queue_url(QueueName=name)['QueueUrl']
    attributes = server.client('sqs').get_queue_attributes(QueueUrl=url, AttributeNames=['VisibilityTimeout'])
    assert attributes['Attributes'] == {'VisibilityTimeout': '5'}


def test_unknown_operations_are_named(server):
    headers = {'X-Amz-Target': 'Kinesis_20131202.Nonsense', 'Content-Type': 'application/x-amz-json-1.1'}
    answer = ask(server, 'kinesis', headers, b'{}')
    assert answer.status_code == 400 and answer.json()['__type'] == 'UnknownOperationException'
    headers = {'Content-Type': 'application/x-www-form-urlencoded'}
    answer = ask(server, 'sns', headers, b'Action=Nonsense&Version=2010-03-31')
    assert answer.status_code == 400
    assert '<Code>InvalidAction</Code>' in answer.text and 'Nonsense' in answer.text


def test_bodies_that_are_not_what_they_say(server):
    headers = {'X-Amz-Target': 'Kinesis_20131202.ListStreams', 'Content-Type': 'application/x-amz-json-1.1'}
    for body in (b'{', b'[1]', b'\xff\xfe', json.dumps({'Limit': 'three'}).encode(), b'[' * 100_000):
        answer = ask(server, 'kinesis', headers, body)
        assert answer.status_code == 400 and answer.json()['__type'] == 'SerializationException', body[:20]
