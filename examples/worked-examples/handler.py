"""Takes as long as a batch is said to take, fails as often as it is told, and then says what it saw."""

import base64
import collections
import json
import os
import time

import boto3

kinesis = boto3.client('kinesis')
tries = collections.Counter()


def handler(event, context):
    records = event['Records']
    first = records[0]['kinesis']['sequenceNumber']
    tries[first] += 1
    if tries[first] <= int(os.environ['FAILURES']):
        raise RuntimeError('try {} is one of those that fail'.format(tries[first]))
    time.sleep(float(os.environ['SECONDS_PER_RECORD']) * len(records))
    seen = collections.defaultdict(list)
    for record in records:
        kinesis_record = record['kinesis']
        seen[kinesis_record['partitionKey']].append(int(base64.b64decode(kinesis_record['data'])))
    kinesis.put_record(StreamName=os.environ['SEEN'], PartitionKey='seen', Data=json.dumps(seen))
