"""Resource policies: services come in as a function's, a topic's and a queue's say, and not without one; denials hold."""

import json

import pytest
from botocore.exceptions import ClientError
from conftest import lets_in, make_role
from test_pipeline import make_function

TELL = '''
import boto3, json, os
def handler(event, context):
    boto3.client('sqs').send_message(QueueUrl=os.environ['QUEUE'], MessageBody=json.dumps(event))
'''


class Box:
    """A queue that rules may tell of failures."""

    def __init__(self, server, name, until, *services):
        self.sqs, self.until = server.client('sqs'), until
        self.url = self.sqs.create_queue(QueueName=name, Attributes={'Policy': lets_in(*services)})['QueueUrl']
        self.arn = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=['QueueArn'])['Attributes']['QueueArn']

    def next(self):
        def look():
            got = self.sqs.receive_message(QueueUrl=self.url, WaitTimeSeconds=1, MessageAttributeNames=['All'])
            return got.get('Messages')
        [message] = self.until(look)
        self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message['ReceiptHandle'])
        return message


def test_a_rule_needs_a_permission_to_invoke(server, name, until):
    box, dead = Box(server, name + '-box', until, 'events'), Box(server, name + '-dead', until, 'events')
    functions = make_function(server, name, TELL, Environment={'Variables': {'QUEUE': box.url}})
    function = functions.get_function_configuration(FunctionName=name)['FunctionArn']
    events = server.client('events')
    rule = events.put_rule(Name=name, EventPattern=json.dumps({'source': [name]}))['RuleArn']
    events.put_targets(Rule=name, Targets=[{'Id': '1', 'Arn': function, 'DeadLetterConfig': {'Arn': dead.arn}}])

    def put(n):
        events.put_events(Entries=[{'Source': name, 'DetailType': 't', 'Detail': json.dumps({'n': n})}])

    put(1)
    letter = dead.next()
    assert letter['MessageAttributes']['ERROR_CODE']['StringValue'] == 'NO_PERMISSIONS'
    assert 'lambda:InvokeFunction' in letter['MessageAttributes']['ERROR_MESSAGE']['StringValue']
    allow = {'FunctionName': name, 'Action': 'lambda:InvokeFunction', 'Principal': 'events.amazonaws.com'}
    functions.add_permission(StatementId='other', SourceArn=rule + '-other', **allow)
    put(2)
    assert json.loads(dead.next()['Body'])['detail'] == {'n': 2}
    functions.add_permission(StatementId='this', SourceArn=rule, SourceAccount='000000000000', **allow)
    put(3)
    assert json.loads(box.next()['Body'])['detail'] == {'n': 3}
    with pytest.raises(ClientError) as error:
        functions.add_permission(FunctionName=name, StatementId='bad', Action='lambda:InvokeFunction', Principal='nobody')
    assert error.value.response['Error']['Code'] == 'InvalidParameterValueException'


def test_a_topic_and_its_subscribers_let_services_in(server, name, until):
    box, dead = Box(server, name + '-box', until, 'sns'), Box(server, name + '-dead', until, 'events', 'sns')
    functions = make_function(server, name, TELL, Environment={'Variables': {'QUEUE': box.url}})
    function = functions.get_function_configuration(FunctionName=name)['FunctionArn']
    sns, events = server.client('sns'), server.client('events')
    topic = sns.create_topic(Name=name)['TopicArn']
    sns.subscribe(TopicArn=topic, Protocol='lambda', Endpoint=function,
                  Attributes={'RedrivePolicy': json.dumps({'deadLetterTargetArn': dead.arn})})
    sns.publish(TopicArn=topic, Message='not yet')
    letter = dead.next()
    assert 'not yet' in letter['Body']
    assert letter['MessageAttributes']['ERROR_CODE']['StringValue'] == 'AccessDeniedException'
    functions.add_permission(FunctionName=name, StatementId='sns', Action='lambda:InvokeFunction',
                             Principal='sns.amazonaws.com', SourceArn=topic)
    events.put_rule(Name=name, EventPattern=json.dumps({'source': [name]}))
    target = {'Id': '1', 'Arn': topic, 'Input': '"told"', 'DeadLetterConfig': {'Arn': dead.arn}}
    events.put_targets(Rule=name, Targets=[target])
    entry = {'Source': name, 'DetailType': 't', 'Detail': '{}'}
    events.put_events(Entries=[entry])
    assert dead.next()['MessageAttributes']['ERROR_CODE']['StringValue'] == 'NO_PERMISSIONS'
    sns.set_topic_attributes(TopicArn=topic, AttributeName='Policy', AttributeValue=lets_in('events', action='sns:Publish'))
    events.put_events(Entries=[entry])
    assert json.loads(json.loads(box.next()['Body'])['Records'][0]['Sns']['Message']) == 'told'


def test_denials_hold_for_the_accounts_own_and_the_account_can_take_them_back(server, name):
    iam, sqs = server.client('iam'), server.client('sqs')
    iam.create_user(UserName=name)
    keys = iam.create_access_key(UserName=name)['AccessKey']
    own = server.client('sqs', keys['AccessKeyId'], keys['SecretAccessKey'])
    deny = {'Effect': 'Deny', 'Principal': '*', 'Action': 'sqs:*', 'Resource': '*'}
    policy = json.dumps({'Version': '2012-10-17', 'Statement': deny})
    url = sqs.create_queue(QueueName=name, Attributes={'Policy': policy})['QueueUrl']
    for client in (own, sqs):
        with pytest.raises(ClientError) as error:
            client.send_message(QueueUrl=url, MessageBody='a')
        assert error.value.response['Error']['Code'] == 'AccessDenied'
        assert 'with an explicit deny in a resource-based policy' in error.value.response['Error']['Message']
    with pytest.raises(ClientError):
        own.set_queue_attributes(QueueUrl=url, Attributes={'Policy': ''})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={'Policy': ''})
    own.send_message(QueueUrl=url, MessageBody='a')


def test_a_stream_and_a_consumer_are_denied_by_their_own_policies(server, name, until):
    iam, kinesis = server.client('iam'), server.client('kinesis')
    iam.create_user(UserName=name)
    keys = iam.create_access_key(UserName=name)['AccessKey']
    own = server.client('kinesis', keys['AccessKeyId'], keys['SecretAccessKey'])
    kinesis.create_stream(StreamName=name, ShardCount=1)
    kinesis.get_waiter('stream_exists').wait(StreamName=name)
    stream = kinesis.describe_stream_summary(StreamName=name)['StreamDescriptionSummary']['StreamARN']
    consumer = kinesis.register_stream_consumer(StreamARN=stream, ConsumerName='c')['Consumer']['ConsumerARN']
    until(lambda: kinesis.describe_stream_consumer(ConsumerARN=consumer)['ConsumerDescription']['ConsumerStatus'] == 'ACTIVE')
    iterator = own.get_shard_iterator(StreamName=name, ShardId='shardId-000000000000',
                                      ShardIteratorType='TRIM_HORIZON')['ShardIterator']

    def deny(arn, **more):
        statement = {'Effect': 'Deny', 'Principal': '*', 'Action': 'kinesis:*', 'Resource': arn, **more}
        kinesis.put_resource_policy(ResourceARN=arn, Policy=json.dumps({'Version': '2012-10-17', 'Statement': statement}))

    def denied(call, **arguments):
        with pytest.raises(ClientError) as error:
            call(**arguments)
        assert error.value.response['Error']['Code'] == 'AccessDeniedException'
        assert 'with an explicit deny in a resource-based policy' in error.value.response['Error']['Message']

    put = {'StreamName': name, 'PartitionKey': 'k', 'Data': b'a'}
    deny(stream, Condition={'StringEquals': {'aws:username': name}})
    denied(own.put_record, **put)
    denied(own.put_records, StreamName=name, Records=[{'PartitionKey': 'k', 'Data': b'a'}])
    denied(own.get_records, ShardIterator=iterator)
    denied(own.list_shards, StreamName=name)
    denied(own.delete_resource_policy, ResourceARN=stream)
    kinesis.put_record(**put)
    start = {'Type': 'TRIM_HORIZON'}
    events = own.subscribe_to_shard(ConsumerARN=consumer, ShardId='shardId-000000000000', StartingPosition=start)['EventStream']
    assert next(event for event in events if event['SubscribeToShardEvent']['Records'])
    deny(stream)
    denied(kinesis.put_record, **put)
    kinesis.delete_resource_policy(ResourceARN=stream)
    deny(consumer)
    denied(own.subscribe_to_shard, ConsumerARN=consumer, ShardId='shardId-000000000000', StartingPosition=start)
    own.put_record(**put)
    assert len(own.get_records(ShardIterator=iterator)['Records']) == 2


def test_a_bus_and_its_rules_are_denied_by_its_policy(server, name):
    iam, events = server.client('iam'), server.client('events')
    iam.create_user(UserName=name)
    keys = iam.create_access_key(UserName=name)['AccessKey']
    own = server.client('events', keys['AccessKeyId'], keys['SecretAccessKey'])
    bus = events.create_event_bus(Name=name)['EventBusArn']
    on = {'EventBusName': name}
    rule = events.put_rule(Name='r', EventPattern='{"source":["s"]}', **on)['RuleArn']

    def deny(**statement):
        statement = {'Effect': 'Deny', 'Principal': {'AWS': 'arn:aws:iam::000000000000:user/' + name}, **statement}
        own.put_permission(Policy=json.dumps({'Version': '2012-10-17', 'Statement': statement}), **on)

    def denied(call, **arguments):
        with pytest.raises(ClientError) as error:
            call(**arguments)
        assert error.value.response['Error']['Code'] == 'AccessDeniedException'
        assert 'with an explicit deny in a resource-based policy' in error.value.response['Error']['Message']

    deny(Action='events:*', Resource=rule)
    denied(own.put_rule, Name='r', EventPattern='{"source":["t"]}', **on)
    denied(own.describe_rule, Name='r', **on)
    denied(own.disable_rule, Name='r', **on)
    denied(own.put_targets, Rule='r', Targets=[{'Id': '1', 'Arn': bus}], **on)
    denied(own.list_targets_by_rule, Rule='r', **on)
    denied(own.delete_rule, Name='r', **on)
    denied(own.tag_resource, ResourceARN=rule, Tags=[{'Key': 'k', 'Value': 'v'}])
    own.put_rule(Name='other', EventPattern='{"source":["t"]}', **on)
    own.describe_event_bus(Name=name)
    events.describe_rule(Name='r', **on)
    deny(Action='events:*', Resource=bus)
    denied(own.describe_event_bus, Name=name)
    denied(own.create_archive, ArchiveName=name, EventSourceArn=bus)
    denied(own.delete_event_bus, Name=name)
    own.describe_rule(Name='r', **on)
    assert len(own.list_rules(**on)['Rules']) == 2
    # Nobody shuts himself out.
    own.remove_permission(RemoveAllPermissions=True, **on)
    own.describe_event_bus(Name=name)


def test_a_role_is_assumed_under_conditions(server, name):
    iam = server.client('iam')
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)['AccessKey']
    sts = server.client('sts', key=key['AccessKeyId'], secret=key['SecretAccessKey'])
    statement = {
        'Effect': 'Allow', 'Action': 'sts:AssumeRole', 'Principal': {'AWS': 'arn:aws:iam::000000000000:user/' + name},
        'Condition': {'StringEquals': {'sts:ExternalId': 'x1'}, 'StringLike': {'sts:RoleSessionName': '${aws:username}-*'},
                      'IpAddress': {'aws:SourceIp': '127.0.0.0/8'}}}

    def make(role, **changes):
        document = json.dumps({'Version': '2012-10-17', 'Statement': [{**statement, **changes}]})
        return iam.create_role(RoleName=role, AssumeRolePolicyDocument=document)['Role']['Arn']

    role = make(name)
    assert sts.assume_role(RoleArn=role, RoleSessionName=name + '-1', ExternalId='x1')['Credentials']
    for asked in [{'RoleSessionName': name + '-1'}, {'RoleSessionName': name + '-1', 'ExternalId': 'x2'},
                  {'RoleSessionName': 'other', 'ExternalId': 'x1'}]:
        with pytest.raises(ClientError) as error:
            sts.assume_role(RoleArn=role, **asked)
        assert error.value.response['Error']['Code'] == 'AccessDenied'
    for changes, why in [({'Condition': {'Odd': {'sts:ExternalId': 'x'}}}, 'Syntax errors in policy.'),
                         ({'Resource': '*'}, 'Has prohibited field Resource'),
                         ({'Principal': {'AWS': 'nobody'}}, 'Invalid principal in policy: "AWS":"nobody"')]:
        with pytest.raises(ClientError) as error:
            make(name + '-bad', **changes)
        assert error.value.response['Error']['Code'] == 'MalformedPolicyDocument'
        assert error.value.response['Error']['Message'] == why
    # Another trust policy acts at once.
    trust = {'Version': '2012-10-17', 'Statement': [{k: v for k, v in statement.items() if k != 'Condition'}]}
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(trust))
    assert iam.get_role(RoleName=name)['Role']['AssumeRolePolicyDocument'] == trust
    assert sts.assume_role(RoleArn=role, RoleSessionName='other')['Credentials']


def test_policies_name_principals_that_there_are(server, name, until):
    iam, sqs, sns, events = (server.client(service) for service in ('iam', 'sqs', 'sns', 'events'))
    kinesis, logs = server.client('kinesis'), server.client('logs')
    url = sqs.create_queue(QueueName=name)['QueueUrl']
    topic = sns.create_topic(Name=name)['TopicArn']
    bus = events.create_event_bus(Name=name)['EventBusArn']
    kinesis.create_stream(StreamName=name, ShardCount=1)
    kinesis.get_waiter('stream_exists').wait(StreamName=name)
    stream = kinesis.describe_stream_summary(StreamName=name)['StreamDescriptionSummary']['StreamARN']
    functions = make_function(server, name + '-f', 'def handler(event, context): pass')
    queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=['QueueArn'])['Attributes']['QueueArn']
    role = 'arn:aws:iam::000000000000:role/' + name

    def document(principal, action, resource):
        statement = {'Effect': 'Allow', 'Principal': {'AWS': principal}, 'Action': action, 'Resource': resource}
        return json.dumps({'Version': '2012-10-17', 'Statement': statement})

    def to_queue(who):
        sqs.set_queue_attributes(QueueUrl=url, Attributes={'Policy': document(who, 'sqs:SendMessage', queue)})

    def to_topic(who):
        sns.set_topic_attributes(TopicArn=topic, AttributeName='Policy', AttributeValue=document(who, 'sns:Publish', topic))

    def to_bus(who):
        events.put_permission(EventBusName=name, Policy=document(who, 'events:PutEvents', bus))

    def to_stream(who):
        policy = document(who, 'kinesis:PutRecord', stream)
        until(lambda: kinesis.put_resource_policy(ResourceARN=stream, Policy=policy))

    def to_function(who):
        sid = 's{}'.format(abs(hash(who)))
        functions.add_permission(FunctionName=name + '-f', StatementId=sid, Action='lambda:InvokeFunction', Principal=who)

    def to_logs(who):
        logs.put_resource_policy(policyName=name, policyDocument=document(who, 'logs:PutLogEvents', '*'))

    def to_role(who):
        trust = {'Effect': 'Allow', 'Principal': {'AWS': who}, 'Action': 'sts:AssumeRole'}
        iam.create_role(RoleName=name + '-of', AssumeRolePolicyDocument=json.dumps({'Version': '2012-10-17', 'Statement': trust}))
        iam.delete_role(RoleName=name + '-of')

    def refused(put, who):
        with pytest.raises(ClientError) as error:
            put(who)
        return error.value.response['Error']['Code'], error.value.response['Error']['Message']

    invalid = 'Invalid principal in policy: "AWS":"{}"'.format(role)
    puts = {
        to_queue: ('InvalidAttributeValue', 'Invalid value for the parameter Policy.'),
        to_topic: ('InvalidParameter', 'Invalid parameter: Policy Error: PrincipalNotFound'),
        to_bus: ('ValidationException', 'Parameter Policy is not valid. Reason: ' + invalid),
        to_stream: ('InvalidArgumentException', 'Invalid policy: ' + invalid),
        to_function: ('InvalidParameterValueException', 'The provided principal was invalid. Please check the principal and try again.'),
        to_role: ('MalformedPolicyDocument', invalid),
    }
    for put, (code, message) in puts.items():
        got = refused(put, role)
        assert got[0] == code and got[1].startswith(message), got
    make_role(server, name, 'lambda')
    user = iam.create_user(UserName=name, Path='/team/')['User']
    # Other accounts hold whom they hold.
    for who in (role, user['Arn'], user['UserId'], '111122223333', 'arn:aws:iam::111122223333:role/deploy', '*'):
        for put in puts:
            if not (put is to_function and who == user['UserId']):
                put(who)
    for wrong in (user['Arn'].replace('/team', ''), 'arn:aws:iam::000000000000:group/g', 'AIDABBBBBBBBBBBBBBBBB'):
        assert refused(to_queue, wrong)[0] == 'InvalidAttributeValue', wrong
    assert refused(to_logs, role) == ('InvalidParameterException', 'Principal section of policy contains ARN instead of account ID')
    to_logs('111122223333')
    # Who is gone stays in the policies that name him, and may not be named anew.
    to_queue(role)
    iam.delete_role(RoleName=name)
    assert role in sqs.get_queue_attributes(QueueUrl=url, AttributeNames=['Policy'])['Attributes']['Policy']
    sqs.set_queue_attributes(QueueUrl=url, Attributes={'VisibilityTimeout': '7'})
    assert refused(to_queue, role)[0] == 'InvalidAttributeValue'
    # Lambda looks at the whole policy.
    assert refused(to_function, '444455556666')[0] == 'InvalidParameterValueException'
