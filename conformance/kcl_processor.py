"""A record processor of the Kinesis Client Library: says what it is given, line by line, into the file it is told."""

import base64
import json
import os
import sys

OUT = open(os.environ['KCL_SAYS'], 'a', buffering=1)


def tell(action):
    sys.stdout.write('\n' + json.dumps(action) + '\n')
    sys.stdout.flush()


def listen():
    while True:
        line = sys.stdin.readline()
        if not line:
            sys.exit(0)
        if line.strip():
            return json.loads(line)


def checkpoint(number=None):
    tell({'action': 'checkpoint', 'sequenceNumber': number, 'subSequenceNumber': None})
    answer = listen()
    assert answer['action'] == 'checkpoint', answer
    return answer.get('error')


shard = None
while True:
    message = listen()
    action = message['action']
    if action == 'initialize':
        shard = message['shardId']
        OUT.write(json.dumps({'shard': shard, 'begins': True}) + '\n')
    elif action == 'processRecords':
        for record in message['records']:
            OUT.write(json.dumps({'shard': shard, 'key': record['partitionKey'],
                                  'data': base64.b64decode(record['data']).decode()}) + '\n')
        if message['records']:
            checkpoint(message['records'][-1]['sequenceNumber'])
    elif action == 'shardEnded':
        checkpoint()
        OUT.write(json.dumps({'shard': shard, 'ends': True}) + '\n')
    elif action == 'shutdownRequested':
        checkpoint()
    tell({'action': 'status', 'responseFor': action})
