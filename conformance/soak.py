"""A stream and a function under everything at once: failures, kill -9 of the server, resharding. Bounded in time.

    HEADWATER_BINARY=target/release/headwater HEADWATER_RUNTIMES=target/runtimes \\
        target/conformance/bin/python conformance/soak.py --records 1000000

Every record is the next number of its key. Whatever happens, the function sees each number at least once, never one before
its predecessor, and after a failure or a crash it sees again no more than the batches that were in hand.
"""

import argparse
import collections
import json
import pathlib
import random
import tempfile
import threading
import time

import botocore.exceptions

from conftest import Server
from test_pipeline import make_function, make_stream

KEYS = 200
HANDLER = '''
import base64, boto3, collections, json, os, random
kinesis = boto3.client('kinesis')
def handler(event, context):
    seen = collections.OrderedDict()
    for record in event['Records']:
        record = record['kinesis']
        seen.setdefault(record['partitionKey'], []).append(int(base64.b64decode(record['data'])))
    if random.random() < 0.03:
        raise RuntimeError('before anything was done')
    kinesis.put_record(StreamName=os.environ['SEEN'], PartitionKey='seen', Data=json.dumps(seen))
    if random.random() < 0.02:
        raise RuntimeError('after all was done')
    if random.random() < 0.002:
        os._exit(1)
'''
TROUBLE = (OSError, botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError)


class Soak:
    """The server, its stream and what was put and seen."""

    def __init__(self, directory, records, batch):
        self.records, self.batch = records, batch
        self.server = Server(pathlib.Path(directory) / 'data', '--limits', 'off')
        for stream in ('soak', 'seen'):
            arn = make_stream(self.server, stream)
            if stream == 'soak':
                source = arn
        functions = make_function(self.server, 'soak', HANDLER, Timeout=60, Environment={'Variables': {'SEEN': 'seen'}})
        functions.create_event_source_mapping(
            FunctionName='soak', EventSourceArn=source, StartingPosition='TRIM_HORIZON', BatchSize=batch)
        self.put, self.sent, self.iterator = collections.Counter(), 0, None
        self.next, self.batches, self.again = collections.Counter(), 0, 0
        self.furthest_back = 0

    def persist(self, call, **settings):
        """Calls until it is answered: the server may be down."""
        end = time.monotonic() + 60
        while True:
            try:
                return call(**settings)
            except TROUBLE as error:
                if time.monotonic() > end:
                    raise
                code = (getattr(error, 'response', None) or {}).get('Error', {}).get('Code')
                if code in ('ResourceInUseException', 'LimitExceededException'):
                    return None
                time.sleep(0.05)

    def write(self):
        kinesis = self.server.client('kinesis')
        while self.sent < self.records:
            keys = [str(random.randrange(KEYS)) for _ in range(min(500, self.records - self.sent))]
            entries = []
            for key in keys:
                entries.append({'PartitionKey': key, 'Data': str(self.put[key])})
                self.put[key] += 1
            # A put that was cut off may have been taken: it is put again, and its numbers come twice.
            self.persist(kinesis.put_records, StreamName='soak', Records=entries)
            self.sent += len(entries)

    def read(self):
        """Reads what was seen since the last time, and holds it to the promises."""
        kinesis = self.server.client('kinesis')
        if self.iterator is None:
            self.iterator = self.persist(
                kinesis.get_shard_iterator, StreamName='seen', ShardId='shardId-000000000000',
                ShardIteratorType='TRIM_HORIZON')['ShardIterator']
        answer = self.persist(kinesis.get_records, ShardIterator=self.iterator)
        self.iterator = answer['NextShardIterator']
        for record in answer['Records']:
            self.batches += 1
            for key, numbers in json.loads(record['Data']).items():
                self.hold(key, numbers)

    def hold(self, key, numbers):
        for number in numbers:
            due = self.next[key]
            assert number <= due, 'key {}: {} was seen before {}'.format(key, number, due)
            if number == due:
                self.next[key] += 1
            else:
                self.again += 1
                self.furthest_back = max(self.furthest_back, due - number)

    def done(self):
        return self.sent >= self.records and all(self.next[key] == count for key, count in self.put.items())

    def run(self, patience):
        writer = threading.Thread(target=self.write)
        writer.start()
        end = time.monotonic() + patience
        kills, counts = [0.2, 0.45, 0.7], [(0.1, 2), (0.3, 4), (0.5, 3), (0.65, 6), (0.8, 3)]
        try:
            while not self.done():
                assert time.monotonic() < end, 'after {} s: {} put, {} seen'.format(
                    patience, self.sent, sum(self.next.values()))
                self.read()
                progress = sum(self.next.values()) / self.records
                if kills and progress > kills[0]:
                    kills.pop(0)
                    self.server.kill()
                    self.server.start()
                if counts and progress > counts[0][0]:
                    _, shards = counts.pop(0)
                    self.persist(self.server.client('kinesis').update_shard_count, StreamName='soak',
                                 TargetShardCount=shards, ScalingType='UNIFORM_SCALING')
                time.sleep(0.02)
            assert not kills, 'the server was killed three times'
        finally:
            writer.join()
        # Of one key, a batch in hand holds at most what a batch holds of it; a writer's cut off put adds its own.
        assert self.furthest_back <= 2 * self.batch + 500, self.furthest_back
        return '{} records put, {} batches seen, {} numbers seen again, at most {} back'.format(
            self.sent, self.batches, self.again, self.furthest_back)


def soak(records, batch, patience):
    with tempfile.TemporaryDirectory(prefix='headwater-soak-') as directory:
        running = Soak(directory, records, batch)
        try:
            return running.run(patience)
        finally:
            running.server.stop()


if __name__ == '__main__':
    args = argparse.ArgumentParser()
    args.add_argument('--records', type=int, default=1_000_000)
    args.add_argument('--batch', type=int, default=1000)
    args.add_argument('--patience', type=int, default=900, help='seconds')
    args = args.parse_args()
    print(soak(args.records, args.batch, args.patience))
