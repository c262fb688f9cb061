"""The scheduler with boto3."""

import datetime
import json
import time
import zoneinfo

import pytest
from botocore.exceptions import ClientError
from conftest import lets_in, make_role


def refused(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response['Error']
    return error['Code'], error['Message']


def queue(server, name):
    sqs = server.client('sqs')
    url = sqs.create_queue(QueueName=name, Attributes={'Policy': lets_in('events')})['QueueUrl']
    return url, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=['QueueArn'])['Attributes']['QueueArn']


def receive(server, url, patience=20):
    end = time.monotonic() + patience
    while time.monotonic() < end:
        found = server.client('sqs').receive_message(QueueUrl=url, WaitTimeSeconds=1).get('Messages', [])
        if found:
            server.client('sqs').delete_message(QueueUrl=url, ReceiptHandle=found[0]['ReceiptHandle'])
            return found[0]['Body']
    raise AssertionError('nothing came')


def test_one_time_schedule_in_a_time_zone(server, name):
    role = make_role(server, name, 'scheduler')
    scheduler = server.client('scheduler')
    url, arn = queue(server, name)
    zone = 'America/New_York'
    soon = datetime.datetime.now(zoneinfo.ZoneInfo(zone)) + datetime.timedelta(seconds=2)
    made = scheduler.create_schedule(
        Name=name, ScheduleExpression='at({})'.format(soon.strftime('%Y-%m-%dT%H:%M:%S')), ScheduleExpressionTimezone=zone,
        FlexibleTimeWindow={'Mode': 'OFF'}, ActionAfterCompletion='DELETE',
        Target={'Arn': arn, 'RoleArn': role, 'Input': 'now <aws.scheduler.scheduled-time>'})
    assert made['ScheduleArn'].endswith(':schedule/default/' + name)
    due = soon.astimezone(datetime.timezone.utc).strftime('%Y-%m-%dT%H:%M:%SZ')
    assert receive(server, url) == 'now ' + due
    assert refused(scheduler.get_schedule, Name=name)[0] == 'ResourceNotFoundException'


def test_a_rate_fires_at_once_and_puts_events(server, name):
    role = make_role(server, name, 'scheduler')
    scheduler, events = server.client('scheduler'), server.client('events')
    url, arn = queue(server, name)
    bus = events.describe_event_bus()['Arn']
    events.put_rule(Name=name, EventPattern=json.dumps({'source': [name]}))
    events.put_targets(Rule=name, Targets=[{'Id': '1', 'Arn': arn}])
    target = {'Arn': bus, 'RoleArn': role, 'Input': '{"n": 1}', 'EventBridgeParameters': {'DetailType': 'D', 'Source': name}}
    scheduler.create_schedule(Name=name, ScheduleExpression='rate(1 hours)', FlexibleTimeWindow={'Mode': 'OFF'}, Target=target)
    event = json.loads(receive(server, url))
    assert (event['source'], event['detail-type'], event['detail']) == (name, 'D', {'n': 1})
    schedules = server.own('status')['schedules']
    [row] = [row for row in schedules['first'] if row['name'] == 'default/' + name]
    assert (row['expression'], row['target'], row['state']) == ('rate(1 hours)', bus, 'ENABLED')
    assert row['last'] < row['next'] and schedules['enabled'] <= schedules['total']
    shown = scheduler.get_schedule(Name=name)
    assert shown['Target']['EventBridgeParameters'] == target['EventBridgeParameters']
    assert (shown['State'], shown['ScheduleExpressionTimezone'], shown['GroupName']) == ('ENABLED', 'UTC', 'default')
    assert shown['Target']['RetryPolicy'] == {'MaximumEventAgeInSeconds': 86400, 'MaximumRetryAttempts': 185}
    scheduler.delete_schedule(Name=name)


def test_groups_tags_and_lists(server, name):
    role = make_role(server, name, 'scheduler')
    scheduler = server.client('scheduler')
    _, arn = queue(server, name)
    group = scheduler.create_schedule_group(Name=name, Tags=[{'Key': 'k', 'Value': 'v'}])['ScheduleGroupArn']
    assert refused(scheduler.create_schedule_group, Name=name)[0] == 'ConflictException'
    assert scheduler.list_tags_for_resource(ResourceArn=group)['Tags'] == [{'Key': 'k', 'Value': 'v'}]
    scheduler.tag_resource(ResourceArn=group, Tags=[{'Key': 'l', 'Value': 'w'}])
    scheduler.untag_resource(ResourceArn=group, TagKeys=['k'])
    assert scheduler.list_tags_for_resource(ResourceArn=group)['Tags'] == [{'Key': 'l', 'Value': 'w'}]
    for number in range(5):
        scheduler.create_schedule(
            Name='s{}'.format(number), GroupName=name, ScheduleExpression='cron(0 12 * * ? 2099)', State='DISABLED',
            FlexibleTimeWindow={'Mode': 'FLEXIBLE', 'MaximumWindowInMinutes': 5}, Target={'Arn': arn, 'RoleArn': role})
    pages = scheduler.get_paginator('list_schedules').paginate(GroupName=name, PaginationConfig={'PageSize': 2})
    assert [one['Name'] for page in pages for one in page['Schedules']] == ['s0', 's1', 's2', 's3', 's4']
    scheduler.update_schedule(
        Name='s0', GroupName=name, ScheduleExpression='rate(2 days)', StartDate=datetime.datetime(2098, 1, 1),
        FlexibleTimeWindow={'Mode': 'OFF'}, Target={'Arn': arn, 'RoleArn': role})
    shown = scheduler.get_schedule(Name='s0', GroupName=name)
    assert (shown['State'], shown['ScheduleExpression'], shown['StartDate'].year) == ('ENABLED', 'rate(2 days)', 2098)
    names = [one['Name'] for one in scheduler.list_schedule_groups(NamePrefix=name)['ScheduleGroups']]
    assert names == [name] and scheduler.get_schedule_group(Name=name)['State'] == 'ACTIVE'
    scheduler.delete_schedule_group(Name=name)
    assert refused(scheduler.list_schedules, GroupName=name)[0] == 'ResourceNotFoundException'


def test_what_is_not_served_is_refused_by_name(server, name):
    role = make_role(server, name, 'scheduler')
    scheduler = server.client('scheduler')
    universal = {'Arn': 'arn:aws:scheduler:::aws-sdk:sqs:sendMessage', 'RoleArn': role}
    call = {'Name': name, 'ScheduleExpression': 'rate(1 hour)', 'FlexibleTimeWindow': {'Mode': 'OFF'}, 'Target': universal}
    code, message = refused(scheduler.create_schedule, **call)
    assert code == 'NotImplementedException' and 'universal targets' in message
    _, arn = queue(server, name)
    call['Target'] = {'Arn': arn, 'RoleArn': role}
    assert refused(scheduler.create_schedule, **{**call, 'ScheduleExpression': 'rate(0 hours)'}) == (
        'ValidationException', 'Invalid Schedule Expression rate(0 hours).')
    assert refused(scheduler.create_schedule, **{**call, 'GroupName': 'none'})[0] == 'ResourceNotFoundException'


def test_the_role_must_let_the_scheduler_take_it_on(server, name, until):
    scheduler, iam = server.client('scheduler'), server.client('iam')
    url, arn = queue(server, name)
    group = scheduler.create_schedule_group(Name=name)['ScheduleGroupArn']
    trust = {'Effect': 'Allow', 'Principal': {'Service': 'scheduler.amazonaws.com'}, 'Action': 'sts:AssumeRole',
             'Condition': {'StringEquals': {'aws:SourceAccount': '000000000000', 'aws:SourceArn': group}}}
    document = json.dumps({'Version': '2012-10-17', 'Statement': trust})
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)['Role']['Arn']
    call = {'Name': name, 'GroupName': name, 'ScheduleExpression': 'rate(1 hour)', 'FlexibleTimeWindow': {'Mode': 'OFF'},
            'Target': {'Arn': arn, 'RoleArn': role, 'Input': 'once'}}
    why = 'The execution role you provide must allow AWS EventBridge Scheduler to assume the role.'
    assert refused(scheduler.create_schedule, **{**call, 'GroupName': 'default'}) == ('ValidationException', why)
    for other in (role + '-none', make_role(server, name + '-events', 'events')):
        wrong = {**call, 'Target': {**call['Target'], 'RoleArn': other}}
        assert refused(scheduler.create_schedule, **wrong) == ('ValidationException', why)
    scheduler.create_schedule(**call)
    assert receive(server, url) == 'once'
    assert refused(scheduler.update_schedule, **{**call, 'Target': {**call['Target'], 'RoleArn': role + '-none'}})[1] == why
    # A role that goes later: what the schedule sends then is kept, and status says why.
    iam.delete_role(RoleName=name)
    later = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=2)
    other = make_role(server, name + '-once', 'scheduler')
    once = {**call, 'Name': name + '-once', 'ScheduleExpression': 'at({})'.format(later.strftime('%Y-%m-%dT%H:%M:%S')),
            'Target': {**call['Target'], 'RoleArn': other}}
    scheduler.create_schedule(**once)
    iam.delete_role(RoleName=name + '-once')
    [kept] = until(lambda: [letter for letter in server.own('status')['dead'] if other in letter['why']])
    assert (kept['code'], kept['tries']) == ('AccessDenied', 1)
    assert kept['why'] == 'The role {} cannot be assumed by scheduler.amazonaws.com.'.format(other)
