"""CloudWatch Logs with boto3 and the AWS CLI: groups, streams, events, filters, and rules that send to groups."""

import base64
import json
import os
import pathlib
import subprocess
import sys
import time

import botocore.exceptions
import pytest
from conftest import lets_in, until
from test_pipeline import make_function

AWS = str(pathlib.Path(sys.executable).with_name('aws'))


def now():
    return int(time.time() * 1000)


def put(logs, group, stream, *messages, at=None):
    at = at or now()
    return logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=[
        {'timestamp': at + i, 'message': message} for i, message in enumerate(messages)])


@pytest.fixture
def logs(server):
    return server.client('logs')


@pytest.fixture
def group(logs, name):
    logs.create_log_group(logGroupName=name, tags={'made-by': 'a test'})
    logs.create_log_stream(logGroupName=name, logStreamName='s')
    return name


def test_what_is_put_is_got_from_either_end(logs, group):
    answer = put(logs, group, 's', *['event {}'.format(i) for i in range(25)])
    assert 'rejectedLogEventsInfo' not in answer
    where = dict(logGroupName=group, logStreamName='s')
    page = logs.get_log_events(**where, limit=10)
    assert [e['message'] for e in page['events']] == ['event {}'.format(i) for i in range(15, 25)]
    assert page['events'][0]['ingestionTime'] >= page['events'][0]['timestamp'] - 1000
    before = logs.get_log_events(**where, limit=10, nextToken=page['nextBackwardToken'])
    assert before['events'][-1]['message'] == 'event 14'
    end = logs.get_log_events(**where, nextToken=page['nextForwardToken'])
    assert end['events'] == [] and end['nextForwardToken'] == page['nextForwardToken']
    seen, token = [], {}
    while True:
        page = logs.get_log_events(**where, limit=7, startFromHead=True, **token)
        if page['nextForwardToken'] == token.get('nextToken'):
            break
        seen += [e['message'] for e in page['events']]
        token = {'nextToken': page['nextForwardToken']}
    assert seen == ['event {}'.format(i) for i in range(25)]


def test_filters_of_every_kind_page_over_all_streams(logs, group):
    logs.create_log_stream(logGroupName=group, logStreamName='t')
    for i in range(20):
        put(logs, group, 's' if i % 2 else 't', json.dumps({'n': i, 'level': 'ERROR' if i % 5 == 0 else 'INFO'}))
    put(logs, group, 's', '127.0.0.1 - frank [10/Oct/2000:13:25:15 -0700] "GET /a.html HTTP/1.0" 404 1534')

    def found(pattern, **more):
        pages = logs.get_paginator('filter_log_events').paginate(
            logGroupName=group, filterPattern=pattern, PaginationConfig={'PageSize': 3}, **more)
        return [event for page in pages for event in page['events']]

    assert len(found('')) == 21
    assert [json.loads(e['message'])['n'] for e in found('ERROR')] == [0, 5, 10, 15]
    assert len(found('?ERROR ?frank')) == 5
    assert len(found('INFO -"19"')) == 15
    assert [json.loads(e['message'])['n'] for e in found('{ $.n >= 18 && $.level = "INFO" }')] == [18, 19]
    assert len(found('[ip, id, user, at, request = *html*, status = 4*, bytes > 1000]')) == 1
    assert len(found('%n.: 1[0-9]%')) == 10
    assert {e['logStreamName'] for e in found('ERROR', logStreamNames=['t'])} == {'t'}
    assert len({e['eventId'] for e in found('')}) == 21
    with pytest.raises(logs.exceptions.InvalidParameterException, match='Invalid filter pattern'):
        found('error-code')


def test_groups_and_streams_are_described(logs, group):
    put(logs, group, 's', 'x')
    found = logs.describe_log_groups(logGroupNamePrefix=group)['logGroups'][0]
    assert found['arn'] == 'arn:aws:logs:us-east-1:000000000000:log-group:{}:*'.format(group)
    assert found['storedBytes'] == 27
    stream = logs.describe_log_streams(logGroupName=group, orderBy='LastEventTime', descending=True)['logStreams'][0]
    assert stream['lastEventTimestamp'] == stream['firstEventTimestamp'] and stream['storedBytes'] == 0
    assert logs.list_tags_for_resource(resourceArn=found['logGroupArn'])['tags'] == {'made-by': 'a test'}
    assert group in [g['logGroupName'] for g in logs.list_log_groups(logGroupNamePattern='^' + group[:20])['logGroups']]
    logs.delete_log_stream(logGroupName=group, logStreamName='s')
    with pytest.raises(logs.exceptions.ResourceNotFoundException, match='The specified log stream does not exist.'):
        put(logs, group, 's', 'y')
    logs.delete_log_group(logGroupName=group)
    with pytest.raises(logs.exceptions.ResourceNotFoundException, match='The specified log group does not exist.'):
        logs.describe_log_streams(logGroupName=group)


def test_lists_have_pages_and_take_no_other_tokens(logs, name):
    groups = ['{}/{}'.format(name, i) for i in range(5)]
    for each in groups:
        logs.create_log_group(logGroupName=each)
    for stream in 'abc':
        logs.create_log_stream(logGroupName=groups[0], logStreamName=stream)
    pages = logs.get_paginator('describe_log_groups').paginate(logGroupNamePrefix=name, PaginationConfig={'PageSize': 2})
    assert [g['logGroupName'] for page in pages for g in page['logGroups']] == groups
    pages = logs.get_paginator('describe_log_streams').paginate(logGroupName=groups[0], PaginationConfig={'PageSize': 2})
    assert [s['logStreamName'] for page in pages for s in page['logStreams']] == ['a', 'b', 'c']
    for ask in (logs.describe_log_groups, logs.list_log_groups, logs.describe_resource_policies):
        with pytest.raises(logs.exceptions.InvalidParameterException, match='The specified nextToken is invalid.'):
            ask(nextToken=groups[0])


def test_old_events_are_rejected_or_expire(logs, group):
    day = 24 * 3600 * 1000
    put(logs, group, 's', 'two days old', at=now() - 2 * day)
    rejected = put(logs, group, 's', 'too old', at=now() - 15 * day)['rejectedLogEventsInfo']
    assert rejected == {'tooOldLogEventEndIndex': 1}
    put(logs, group, 's', 'fresh')
    logs.put_retention_policy(logGroupName=group, retentionInDays=1)
    events = logs.filter_log_events(logGroupName=group)['events']
    assert [e['message'] for e in events] == ['fresh']
    assert logs.describe_log_groups(logGroupNamePrefix=group)['logGroups'][0]['retentionInDays'] == 1


def test_what_is_not_served_says_so(logs, group):
    for operation, input in [
        ('put_subscription_filter', dict(logGroupName=group, filterName='f', filterPattern='', destinationArn='arn:aws:lambda:us-east-1:000000000000:function:f')),
        ('put_metric_filter', dict(logGroupName=group, filterName='f', filterPattern='', metricTransformations=[
            {'metricName': 'm', 'metricNamespace': 'n', 'metricValue': '1'}])),
        ('start_query', dict(logGroupName=group, startTime=0, endTime=1, queryString='fields @message')),
    ]:
        with pytest.raises(botocore.exceptions.ClientError) as refused:
            getattr(logs, operation)(**input)
        assert refused.value.response['Error']['Code'] == 'NotImplementedException'


def test_acknowledged_events_survive_a_kill(fresh):
    server = fresh()
    logs = server.client('logs')
    logs.create_log_group(logGroupName='g')
    logs.create_log_stream(logGroupName='g', logStreamName='s')
    for i in range(50):
        put(logs, 'g', 's', *['{}/{}'.format(i, j) for j in range(20)])
    server.kill()
    server.start()
    pages = server.client('logs').get_paginator('filter_log_events').paginate(logGroupName='g')
    found = [event['message'] for page in pages for event in page['events']]
    assert sorted(found) == sorted('{}/{}'.format(i, j) for i in range(50) for j in range(20))


def grant(logs, name, rule, *actions):
    """Lets a rule do this in the groups whose names end in `name`."""
    statement = {
        'Effect': 'Allow', 'Principal': {'Service': ['events.amazonaws.com', 'delivery.logs.amazonaws.com']},
        'Action': list(actions), 'Resource': 'arn:aws:logs:us-east-1:000000000000:log-group:*' + name + ':*',
        'Condition': {'ArnEquals': {'aws:SourceArn': rule}}}
    logs.put_resource_policy(policyName=name, policyDocument=json.dumps({'Version': '2012-10-17', 'Statement': statement}))


def test_a_rule_needs_a_grant(server, logs, group, name):
    events, sqs = server.client('events'), server.client('sqs')
    queue = sqs.create_queue(QueueName=name, Attributes={'Policy': lets_in('events')})['QueueUrl']
    dead = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=['QueueArn'])['Attributes']['QueueArn']
    rule = events.put_rule(Name=name, EventPattern=json.dumps({'source': [name]}))['RuleArn']
    arn = 'arn:aws:logs:us-east-1:000000000000:log-group:' + group
    events.put_targets(Rule=name, Targets=[{'Id': '1', 'Arn': arn, 'DeadLetterConfig': {'Arn': dead}}])

    def put(n):
        events.put_events(Entries=[{'Source': name, 'DetailType': 'd', 'Detail': json.dumps({'n': n})}])

    def letter():
        def look():
            return sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1, MessageAttributeNames=['All']).get('Messages')
        [message] = until(look)
        sqs.delete_message(QueueUrl=queue, ReceiptHandle=message['ReceiptHandle'])
        return {name: value['StringValue'] for name, value in message['MessageAttributes'].items()}

    put(1)
    said = letter()
    assert said['ERROR_CODE'] == 'NO_PERMISSIONS' and 'logs:CreateLogStream' in said['ERROR_MESSAGE']
    grant(logs, group, rule, 'logs:CreateLogStream')
    put(2)
    assert 'logs:PutLogEvents' in letter()['ERROR_MESSAGE']
    grant(logs, group, rule + '-other', 'logs:CreateLogStream', 'logs:PutLogEvents')
    put(3)
    assert letter()['ERROR_CODE'] == 'NO_PERMISSIONS'
    grant(logs, group, rule, 'logs:CreateLogStream', 'logs:PutLogEvents')
    put(4)
    [event] = until(lambda: logs.filter_log_events(logGroupName=group)['events'])
    assert json.loads(event['message'])['detail'] == {'n': 4}
    logs.delete_resource_policy(policyName=group)


def test_a_rule_sends_its_events_to_a_group(server, logs, name):
    events = server.client('events')
    group = '/aws/events/' + name
    logs.create_log_group(logGroupName=group)
    arn = 'arn:aws:logs:us-east-1:000000000000:log-group:' + group
    rule = events.put_rule(Name=name, EventPattern=json.dumps({'source': [name]}))['RuleArn']
    grant(logs, name, rule, 'logs:CreateLogStream', 'logs:PutLogEvents')
    failed = events.put_targets(Rule=name, Targets=[
        {'Id': 'whole', 'Arn': arn},
        {'Id': 'made', 'Arn': arn + ':*', 'InputTransformer': {
            'InputPathsMap': {'at': '$.time', 'n': '$.detail.n'},
            'InputTemplate': '{"timestamp": <at>, "message": "number <n>"}'}}])
    assert failed['FailedEntryCount'] == 0
    events.put_events(Entries=[{'Source': name, 'DetailType': 'd', 'Detail': json.dumps({'n': n})} for n in range(3)])

    def all_six():
        found = logs.filter_log_events(logGroupName=group)['events']
        return found if len(found) == 6 else None

    found = until(all_six)
    assert sorted(e['message'] for e in found if not e['message'].startswith('{')) == ['number 0', 'number 1', 'number 2']
    whole = [json.loads(e['message']) for e in found if e['message'].startswith('{')]
    assert sorted(e['detail']['n'] for e in whole) == [0, 1, 2]
    assert all(e['timestamp'] % 1000 == 0 and now() - e['timestamp'] < 60_000 for e in found)
    assert logs.describe_log_streams(logGroupName=group)['logStreams'][0]['lastEventTimestamp']
    logs.delete_resource_policy(policyName=name)


def aws(server, *args):
    env = {**os.environ, 'AWS_ENDPOINT_URL': server.endpoint, 'AWS_ACCESS_KEY_ID': 'test',
           'AWS_SECRET_ACCESS_KEY': 'test', 'AWS_DEFAULT_REGION': 'us-east-1', 'AWS_PAGER': ''}
    done = subprocess.run([AWS, *args], env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_cli_filters(server, logs, group):
    put(logs, group, 's', 'ERROR one', 'fine', 'ERROR two')
    found = json.loads(aws(server, 'logs', 'filter-log-events', '--log-group-name', group, '--filter-pattern', 'ERROR'))
    assert [e['message'] for e in found['events']] == ['ERROR one', 'ERROR two']


SAYS = '''
import os
def handler(event, context):
    print('it says', event)
    return [context.log_group_name, context.log_stream_name]
'''


def found(logs, group, pattern):
    def look():
        try:
            return logs.filter_log_events(logGroupName=group, filterPattern=pattern)['events']
        except logs.exceptions.ResourceNotFoundException:
            return []
    return until(look)


def tail(logs, group, since):
    """What `aws logs tail GROUP --since 5m` of the CLI's second version asks; the first, which is installed here, has no tail."""
    seen, args = {}, dict(logGroupName=group, interleaved=True, startTime=since)
    while True:
        page = logs.filter_log_events(**args)
        seen.update((event['eventId'], event) for event in page['events'])
        if 'nextToken' not in page:
            return list(seen.values())
        args['nextToken'] = page['nextToken']


def test_what_a_function_prints_is_in_its_group(server, logs, name):
    functions = make_function(server, name, SAYS)
    answer = functions.invoke(FunctionName=name, Payload='"hello"', LogType='Tail')
    group, stream = json.loads(answer['Payload'].read())
    assert group == '/aws/lambda/' + name
    event = found(logs, group, '"it says hello"')[0]
    assert event['logStreamName'] == stream and '/[$LATEST]' in stream
    page = [e['message'] for e in logs.get_log_events(logGroupName=group, logStreamName=stream, startFromHead=True)['events']]
    starts = [i for i, line in enumerate(page) if line.startswith('START RequestId: ')]
    assert starts and page.index('it says hello') > starts[0]
    assert [e['message'] for e in tail(logs, group, now() - 300_000)].count('it says hello') == 1
    assert any(line['text'] == 'it says hello' for line in server.own('tail?from=start&what=' + group)['lines'])
    shown = functions.get_function_configuration(FunctionName=name)['LoggingConfig']
    assert shown == {'LogFormat': 'Text', 'LogGroup': group}


def test_a_function_writes_to_the_group_it_is_given(server, logs, group, name):
    functions = make_function(server, name, SAYS, LoggingConfig={'LogGroup': group})
    told, stream = json.loads(functions.invoke(FunctionName=name, Payload='1')['Payload'].read())
    assert told == group and '/{}[$LATEST]'.format(name) in stream
    assert found(logs, group, '"it says 1"')[0]['logStreamName'] == stream
    functions.update_function_configuration(FunctionName=name, LoggingConfig={'LogGroup': group + '-2'})
    functions.get_waiter('function_updated_v2').wait(FunctionName=name)
    assert json.loads(functions.invoke(FunctionName=name, Payload='2')['Payload'].read())[0] == group + '-2'
    assert len(found(logs, group + '-2', '"it says 2"')) == 1


def test_what_functions_printed_survives_a_clean_stop(fresh):
    server = fresh()
    functions = make_function(server, 'f', SAYS)
    functions.invoke(FunctionName='f', Payload='"last"')
    assert server.stop() == 0
    server.start()
    assert len(found(server.client('logs'), '/aws/lambda/f', '"it says last"')) == 1


LEVELS = '''
import logging
def handler(event, context):
    log = logging.getLogger('shop')
    log.debug('in detail'); log.info('it says %s', event.get('n')); log.warning('careful', extra={'order': 7})
    print('plain')
    print('{"level": "debug", "msg": "by hand"}')
    if event.get('fail'):
        raise ValueError('no')
    if event.get('exit'):
        import os; os._exit(3)
'''


def lines(logs, group, id):
    """All of one invocation's log, as JSON where it is that."""
    def read():
        try:
            events = logs.filter_log_events(logGroupName=group)['events']
        except logs.exceptions.ResourceNotFoundException:
            return None
        told = [json.loads(e['message']) if e['message'].startswith('{') else e['message'] for e in events]
        ends = [e for e in told if isinstance(e, dict) and e.get('type') in ('platform.report', 'platform.runtimeDone')]
        return told if any(end['record']['requestId'] == id for end in ends) else None
    return until(read)


def types(told):
    return [e['type'] for e in told if isinstance(e, dict) and 'type' in e]


def test_a_log_in_json(server, logs, name):
    functions = make_function(server, name, LEVELS, LoggingConfig={'LogFormat': 'JSON'})
    shown = functions.get_function_configuration(FunctionName=name)['LoggingConfig']
    group = '/aws/lambda/' + name
    assert shown == {'LogFormat': 'JSON', 'ApplicationLogLevel': 'INFO', 'SystemLogLevel': 'INFO', 'LogGroup': group}
    answer = functions.invoke(FunctionName=name, Payload='{"n": 1}', LogType='Tail')
    id = answer['ResponseMetadata']['RequestId']
    told = lines(logs, group, id)
    start, report = [next(e['record'] for e in told if 'type' in e and e['type'] == t) for t in ('platform.start', 'platform.report')]
    assert start == {'requestId': id, 'functionArn': functions.get_function(FunctionName=name)['Configuration']['FunctionArn'],
                     'version': '$LATEST'}
    assert report['status'] == 'success' and report['requestId'] == id and report['metrics']['memorySizeMB'] == 128
    assert {'durationMs', 'billedDurationMs', 'maxMemoryUsedMB', 'initDurationMs'} <= set(report['metrics'])
    begun = next(e['record'] for e in told if 'type' in e and e['type'] == 'platform.initStart')
    assert (begun['initializationType'], begun['phase'], begun['functionName']) == ('on-demand', 'init', name)
    # What is plain is INFO, what is DEBUG is not there, and nothing of Lambda's is text.
    said = [e for e in told if isinstance(e, dict) and e.get('requestId') == id]
    assert [(e['level'], e['message'], e['logger']) for e in said] == [('INFO', 'it says 1', 'shop'), ('WARNING', 'careful', 'shop')]
    assert said[1]['order'] == 7 and 'plain' in told
    assert not [e for e in told if isinstance(e, str) and e != 'plain'] and 'by hand' not in str(told)
    assert '"type":"platform.start"' in base64.b64decode(answer['LogResult']).decode()
    # The function's own errors.
    failed = functions.invoke(FunctionName=name, Payload='{"fail": 1}')['ResponseMetadata']['RequestId']
    error = next(e for e in lines(logs, group, failed) if isinstance(e, dict) and e.get('errorType') == 'ValueError')
    assert (error['level'], error['errorMessage'], error['requestId']) == ('ERROR', 'no', failed)


def test_levels_of_a_log(server, logs, name):
    functions = make_function(
        server, name, LEVELS,
        LoggingConfig={'LogFormat': 'JSON', 'ApplicationLogLevel': 'WARN', 'SystemLogLevel': 'WARN'})
    group = '/aws/lambda/' + name
    functions.invoke(FunctionName=name, Payload='{}')
    gone = functions.invoke(FunctionName=name, Payload='{"exit": 1}')['ResponseMetadata']['RequestId']
    told = lines(logs, group, gone)
    # What a machine lacks for a sandbox is a warning, too.
    told = [e for e in told if not e.get('type', '').startswith('headwater.')]
    assert types(told) == ['platform.runtimeDone', 'platform.report'], told
    ends = [e['record'] for e in told if 'type' in e]
    assert [(e['requestId'], e['status'], e['errorType']) for e in ends] == 2 * [(gone, 'error', 'Runtime.ExitError')]
    assert [e['message'] for e in told if 'type' not in e] == ['careful', 'careful']
    # All of it.
    config = {'ApplicationLogLevel': 'TRACE', 'SystemLogLevel': 'DEBUG'}
    functions.update_function_configuration(FunctionName=name, LoggingConfig=config)
    assert functions.get_function_configuration(FunctionName=name)['LoggingConfig'] == dict(config, LogFormat='JSON', LogGroup=group)
    id = functions.invoke(FunctionName=name, Payload='{}')['ResponseMetadata']['RequestId']
    told = lines(logs, group, id)
    assert {'platform.initStart', 'platform.initRuntimeDone', 'platform.initReport', 'platform.start'} <= set(types(told))
    assert 'plain' in told and {'in detail', 'it says None'} <= {e.get('message') for e in told if isinstance(e, dict)}
    assert any(isinstance(e, dict) and e.get('msg') == 'by hand' for e in told)
    # And text again, which knows no levels.
    with pytest.raises(botocore.exceptions.ClientError, match='LogLevel is not supported when LogFormat is set to "Text"'):
        functions.update_function_configuration(
            FunctionName=name, LoggingConfig={'LogFormat': 'Text', 'SystemLogLevel': 'WARN'})
    functions.update_function_configuration(FunctionName=name, LoggingConfig={'LogFormat': 'Text'})
    assert functions.get_function_configuration(FunctionName=name)['LoggingConfig'] == {'LogFormat': 'Text', 'LogGroup': group}
    answer = functions.invoke(FunctionName=name, Payload='{}', LogType='Tail')
    assert '\nREPORT RequestId: ' in base64.b64decode(answer['LogResult']).decode()
    with pytest.raises(botocore.exceptions.ClientError, match='LogLevel is not supported'):
        make_function(server, name + '-2', LEVELS, LoggingConfig={'ApplicationLogLevel': 'WARN'})
