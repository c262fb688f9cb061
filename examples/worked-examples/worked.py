"""The talk's two worked examples, measured.

1. 100,000 records a minute come in; a batch of 1,000 takes the function 1.7 s; two shards. It falls behind at about
   70,000 a minute, `headwater plan` says so and reshards to what it takes while all goes on; nothing is lost or reordered.
2. A batch of 10,000 records takes 2.2 s alone. Five tries fail before it succeeds: the pauses between them make it 2.7 times
   as slow.

    headwater serve --limits off &
    python3 examples/worked-examples/worked.py --headwater target/release/headwater

It needs boto3. `--scale 0.1` makes batches and their time ten times smaller, and the rates stay.
"""

import argparse
import collections
import io
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import threading
import time
import zipfile

import boto3
from botocore.config import Config

HANDLER = pathlib.Path(__file__).with_name('handler.py')
TRUST = json.dumps({'Version': '2012-10-17', 'Statement': [
    {'Effect': 'Allow', 'Principal': {'Service': 'lambda.amazonaws.com'}, 'Action': 'sts:AssumeRole'}]})
PER_SECOND = 100_000 / 60
KEYS = 64


def client(service):
    return boto3.client(service, config=Config(read_timeout=120, retries={'total_max_attempts': 1}))


class Pipeline:
    """A stream, a function on it, and a stream of what the function saw."""

    def __init__(self, name, shards, batch, seconds, failures=0):
        self.name, self.kinesis, functions = name, client('kinesis'), client('lambda')
        self.put, self.sent = collections.Counter(), 0
        for stream, count in ((name, shards), (name + '-seen', 1)):
            self.kinesis.create_stream(StreamName=stream, ShardCount=count)
            self.kinesis.get_waiter('stream_exists').wait(StreamName=stream, WaiterConfig={'Delay': 1})
        role = client('iam').create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)['Role']['Arn']
        code = io.BytesIO()
        with zipfile.ZipFile(code, 'w') as archive:
            archive.writestr('handler.py', HANDLER.read_text())
        functions.create_function(
            FunctionName=name, Runtime='python3.11', Handler='handler.handler', Role=role, Timeout=60,
            Code={'ZipFile': code.getvalue()}, Environment={'Variables': {
                'SEEN': name + '-seen', 'SECONDS_PER_RECORD': repr(seconds / batch), 'FAILURES': str(failures)}})
        functions.get_waiter('function_active_v2').wait(FunctionName=name, WaiterConfig={'Delay': 1, 'MaxAttempts': 240})
        arn = self.kinesis.describe_stream_summary(StreamName=name)['StreamDescriptionSummary']['StreamARN']
        functions.create_event_source_mapping(
            FunctionName=name, EventSourceArn=arn, StartingPosition='TRIM_HORIZON', BatchSize=batch,
            MaximumBatchingWindowInSeconds=1)

    def write(self, records):
        """Puts so many records, each the next number of its key."""
        entries = []
        for _ in range(records):
            key = str(random.randrange(KEYS))
            entries.append({'PartitionKey': key, 'Data': str(self.put[key])})
            self.put[key] += 1
        while entries:
            now, entries = entries[:500], entries[500:]
            answer = self.kinesis.put_records(StreamName=self.name, Records=now)
            if answer['FailedRecordCount']:
                raise RuntimeError('records were refused: is the server started with --limits off?')
            self.sent += len(now)

    def write_at(self, per_second, stop):
        """Puts records at a rate until it is stopped."""
        begun = time.monotonic()
        while not stop.is_set():
            due = int((time.monotonic() - begun) * per_second) - self.sent
            if due > 0:
                self.write(due)
            stop.wait(0.05)

    def seen(self, patience):
        """What the function saw of each key, in order, once it has seen all."""
        [shard] = self.kinesis.list_shards(StreamName=self.name + '-seen')['Shards']
        iterator = self.kinesis.get_shard_iterator(
            StreamName=self.name + '-seen', ShardId=shard['ShardId'], ShardIteratorType='TRIM_HORIZON')['ShardIterator']
        seen, end = collections.defaultdict(list), time.monotonic() + patience
        while sum(map(len, seen.values())) < self.sent:
            if time.monotonic() > end:
                raise RuntimeError('only {} of {} records were seen'.format(sum(map(len, seen.values())), self.sent))
            answer = self.kinesis.get_records(ShardIterator=iterator)
            iterator = answer['NextShardIterator']
            for record in answer['Records']:
                for key, numbers in json.loads(record['Data']).items():
                    seen[key].extend(numbers)
            time.sleep(0.2)
        return seen

    def nothing_is_lost_or_reordered(self, patience):
        seen = self.seen(patience)
        for key, count in self.put.items():
            if seen[key] != list(range(count)):
                raise RuntimeError('key {} was seen as {}'.format(key, seen[key]))


def plan(headwater, name, over, *more):
    done = subprocess.run(
        [headwater, 'plan', '--stream', name, '--over', str(over), *more], capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise RuntimeError(done.stderr)
    print('\n'.join('    ' + line for line in done.stdout.splitlines()), flush=True)
    return done.stdout


def falls_behind(headwater, scale, tag):
    print('1. 100,000 records a minute, {} records take {} s, two shards'.format(int(1000 * scale), 1.7 * scale))
    pipeline = Pipeline('falls-behind-' + tag, 2, int(1000 * scale), 1.7 * scale)
    stop = threading.Event()
    writer = threading.Thread(target=pipeline.write_at, args=(PER_SECOND, stop))
    writer.start()
    try:
        time.sleep(2)
        said = plan(headwater, pipeline.name, max(4, int(15 * scale)), '--apply')
        if 'FALLING BEHIND' not in said:
            raise RuntimeError('plan does not see that it falls behind')
        shards = client('kinesis').describe_stream_summary(
            StreamName=pipeline.name)['StreamDescriptionSummary']['OpenShardCount']
        print('   the talk: 1176 records/s, 70,000 a minute; four shards keep up. Here: {} shards now'.format(shards))
        time.sleep(2)
    finally:
        stop.set()
        writer.join()
    pipeline.nothing_is_lost_or_reordered(patience=120)
    print('   {} records seen, each key in order, none lost'.format(pipeline.sent), flush=True)
    return shards


def five_retries(headwater, scale, tag):
    batch, alone = int(10_000 * scale), 2.2 * scale
    print('2. {} records take {} s alone; five tries fail first'.format(batch, round(alone, 2)))
    pipeline = Pipeline('five-retries-' + tag, 1, batch, alone, failures=5)
    planned = []
    # The pauses alone are some six seconds.
    watch = threading.Thread(target=lambda: planned.append(plan(headwater, pipeline.name, int(15 + 3 * alone))))
    watch.start()
    time.sleep(1)
    pipeline.write(batch)
    pipeline.nothing_is_lost_or_reordered(patience=120)
    watch.join()
    figures = re.search(r'6.00 tries a batch: the last one took ([0-9.]+) s, all ([0-9.]+) s', ''.join(planned))
    if not figures:
        raise RuntimeError('plan does not show the six tries')
    last, all_tries = map(float, figures.groups())
    print('   the talk: 4545 records/s alone, 1666 with five retries, 2.72 x. Here: {:.0f}, {:.0f}, {:.2f} x'.format(
        batch / last, batch / all_tries, all_tries / last), flush=True)


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument('--headwater', default='headwater', help='the program')
    args.add_argument('--scale', type=float, default=1.0)
    args = args.parse_args()
    os.environ.setdefault('AWS_ENDPOINT_URL', 'http://127.0.0.1:4566')
    for name, value in (('AWS_ACCESS_KEY_ID', 'test'), ('AWS_SECRET_ACCESS_KEY', 'test'), ('AWS_REGION', 'us-east-1')):
        os.environ.setdefault(name, value)
    os.environ.setdefault('AWS_DEFAULT_REGION', os.environ['AWS_REGION'])
    tag = os.urandom(3).hex()
    try:
        falls_behind(args.headwater, args.scale, tag)
        five_retries(args.headwater, args.scale, tag)
    except RuntimeError as error:
        sys.exit('failed: {}'.format(error))


if __name__ == '__main__':
    main()
