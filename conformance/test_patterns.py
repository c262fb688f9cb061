"""Event patterns and filter policies with boto3: refusals, verdicts, and what reaches a queue."""

import json

import pytest
from botocore.exceptions import ClientError
from conftest import lets_in

EVENT = {
    'version': '0', 'id': 'i', 'detail-type': 't', 'source': 's', 'account': '000000000000',
    'time': '2026-01-01T00:00:00Z', 'region': 'us-east-1', 'resources': [],
}


def refused(call, *args, **kwargs):
    with pytest.raises(ClientError) as error:
        call(*args, **kwargs)
    return error.value.response['Error']


def queue(server, name):
    sqs = server.client('sqs')
    url = sqs.create_queue(QueueName=name, Attributes={'Policy': lets_in('events', 'sns')})['QueueUrl']
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=['QueueArn'])['Attributes']['QueueArn']

    def bodies(count, until):
        found = []

        def look():
            for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1).get('Messages', []):
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message['ReceiptHandle'])
                found.append(message['Body'])
            return len(found) >= count

        until(look)
        return found

    return arn, bodies


@pytest.mark.parametrize('pattern, reason', [
    ({'source': 'aws.ec2'}, '"source" must be an object or an array'),
    ({'a': [{'wildcard': 'a**b'}]}, 'Consecutive wildcard characters at pos 2'),
    ({'a': [{'numeric': ['>', 6e9]}]}, 'Value must be between -5.0E9 and 5.0E9, inclusive'),
])
def test_patterns_are_refused_as_by_aws(server, name, pattern, reason):
    events = server.client('events')
    for error in (
        refused(events.put_rule, Name=name, EventPattern=json.dumps(pattern)),
        refused(events.test_event_pattern, EventPattern=json.dumps(pattern), Event=json.dumps(EVENT)),
    ):
        assert error['Code'] == 'InvalidEventPatternException'
        assert error['Message'].startswith(f'Event pattern is not valid. Reason: {reason}')


@pytest.mark.parametrize('pattern, result', [
    ({'source': ['s'], 'detail': {'n': [{'numeric': ['>', 1, '<=', 2.5]}]}}, True),
    ({'detail': {'ip': [{'cidr': '10.0.0.0/8'}], 'name': [{'anything-but': {'suffix': ['.png', '.gif']}}]}}, True),
    ({'detail': {'list': {'a': [1], 'b': [2]}}}, False),
    ({'$or': [{'source': ['x']}, {'detail': {'list': {'a': [1], 'b': [1]}}}]}, True),
])
def test_a_pattern_can_be_tried(server, pattern, result):
    detail = {'n': 2.5, 'ip': '10.1.2.3', 'name': 'x.jpg', 'list': [{'a': 1, 'b': 1}, {'a': 2, 'b': 2}]}
    event = json.dumps({**EVENT, 'detail': detail})
    tried = server.client('events').test_event_pattern(EventPattern=json.dumps(pattern), Event=event)
    assert tried['Result'] is result


def test_of_many_rules_those_that_match_fire(server, name, until):
    events = server.client('events')
    arn, bodies = queue(server, name)
    bus = events.create_event_bus(Name=name)['EventBusArn']
    for number in range(60):
        pattern = {'source': [name], 'detail': {'kind': [f'k{number}', {'prefix': f'p{number}-'}]}}
        events.put_rule(Name=f'r{number:02}', EventBusName=bus, EventPattern=json.dumps(pattern))
        target = {'Id': 't', 'Arn': arn, 'Input': json.dumps(f'r{number:02}')}
        events.put_targets(Rule=f'r{number:02}', EventBusName=bus, Targets=[target])
    events.disable_rule(Name='r09', EventBusName=bus)
    details = [{'kind': 'k7'}, {'kind': ['k8', 'k9', 'none']}, {'kind': 'p11-x'}, {'kind': 'p1'}, {'other': 'k1'}]
    entries = [{'Source': name, 'DetailType': 't', 'Detail': json.dumps(d), 'EventBusName': name} for d in details]
    assert events.put_events(Entries=entries)['FailedEntryCount'] == 0
    # The last one shows that nothing else is on its way.
    last = {'Source': name, 'DetailType': 't', 'Detail': '{"kind":"k59"}', 'EventBusName': name}
    assert sorted(bodies(3, until)) == ['"r07"', '"r08"', '"r11"']
    assert events.put_events(Entries=[last])['FailedEntryCount'] == 0
    assert bodies(1, until) == ['"r59"']


def test_filter_policies_follow_their_scope(server, name, until):
    sns = server.client('sns')
    arn, bodies = queue(server, name)
    topic = sns.create_topic(Name=name)['TopicArn']
    nested = json.dumps({'order': {'total': [{'numeric': ['>=', 100]}]}})
    error = refused(sns.subscribe, TopicArn=topic, Protocol='sqs', Endpoint=arn, Attributes={'FilterPolicy': nested})
    assert error['Code'] == 'InvalidParameter'
    assert 'Filter policy scope MessageAttributes does not support nested filter policy' in error['Message']
    attributes = {'FilterPolicy': nested, 'FilterPolicyScope': 'MessageBody', 'RawMessageDelivery': 'true'}
    sns.subscribe(TopicArn=topic, Protocol='sqs', Endpoint=arn, Attributes=attributes)
    for total in (5, 100, 99.99, 1000):
        sns.publish(TopicArn=topic, Message=json.dumps({'order': {'total': total}}))
    assert sorted(json.loads(body)['order']['total'] for body in bodies(2, until)) == [100, 1000]
