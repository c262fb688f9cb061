"""SQS with real clients: boto3 (JSON), the AWS CLI, and signed requests of the query protocol."""

import hashlib
import json
import os
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
import xml.etree.ElementTree as ElementTree

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

ARN = 'arn:aws:sqs:us-east-1:000000000000:'


@pytest.fixture
def sqs(server):
    return server.client('sqs')


def refused(call, *args, **kwargs):
    with pytest.raises(ClientError) as error:
        call(*args, **kwargs)
    return error.value.response['Error']


def receive(sqs, url, **more):
    asked = {'MaxNumberOfMessages': 10, 'MessageSystemAttributeNames': ['All'], 'MessageAttributeNames': ['All'], **more}
    return sqs.receive_message(QueueUrl=url, **asked).get('Messages', [])


def test_a_message_goes_in_and_out(sqs, name):
    # boto3 verifies the MD5 sums of bodies and attributes itself.
    url = sqs.create_queue(QueueName=name, Attributes={'VisibilityTimeout': '60'}, tags={'team': 'a'})['QueueUrl']
    assert sqs.get_queue_url(QueueName=name)['QueueUrl'] == url
    assert url in sqs.list_queues(QueueNamePrefix=name)['QueueUrls']
    attributes = {
        'text': {'DataType': 'String.label', 'StringValue': 'grün'},
        'number': {'DataType': 'Number', 'StringValue': '-1.5e3'},
        'raw': {'DataType': 'Binary.png', 'BinaryValue': bytes(range(256))},
    }
    trace = {'AWSTraceHeader': {'DataType': 'String', 'StringValue': 'Root=1-5759e988-bd862e3fe1be46a994272793'}}
    sent = sqs.send_message(QueueUrl=url, MessageBody='grüße', MessageAttributes=attributes, MessageSystemAttributes=trace)
    assert sent['MD5OfMessageBody'] == hashlib.md5('grüße'.encode()).hexdigest()
    [message] = receive(sqs, url)
    assert message['MessageId'] == sent['MessageId'] and message['Body'] == 'grüße'
    assert message['MessageAttributes'] == attributes
    assert message['MD5OfMessageAttributes'] == sent['MD5OfMessageAttributes']
    assert message['Attributes']['AWSTraceHeader'] == trace['AWSTraceHeader']['StringValue']
    assert message['Attributes']['ApproximateReceiveCount'] == '1'
    counts = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=['All'])['Attributes']
    assert counts['ApproximateNumberOfMessagesNotVisible'] == '1' and counts['QueueArn'] == ARN + name
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=message['ReceiptHandle'], VisibilityTimeout=0)
    [again] = receive(sqs, url, MessageAttributeNames=['te.*', 'raw'])
    assert again['Attributes']['ApproximateReceiveCount'] == '2'
    sqs.delete_message(QueueUrl=url, ReceiptHandle=again['ReceiptHandle'])
    assert sqs.list_queue_tags(QueueUrl=url)['Tags'] == {'team': 'a'}
    sqs.delete_queue(QueueUrl=url)
    assert refused(sqs.create_queue, QueueName=name)['Code'] == 'AWS.SimpleQueueService.QueueDeletedRecently'


def test_errors_have_both_their_names(sqs, name):
    url = 'http://localhost/000000000000/' + name
    with pytest.raises(sqs.exceptions.QueueDoesNotExist) as error:
        sqs.get_queue_attributes(QueueUrl=url)
    assert error.value.response['Error']['Code'] == 'AWS.SimpleQueueService.NonExistentQueue'
    assert error.value.response['Error']['QueryErrorCode'] == 'QueueDoesNotExist'
    url = sqs.create_queue(QueueName=name)['QueueUrl']
    assert refused(sqs.send_message, QueueUrl=url, MessageBody='a' * 1048577)['Code'] == 'InvalidParameterValue'
    assert refused(sqs.send_message, QueueUrl=url, MessageBody='\x01')['Code'] == 'InvalidMessageContents'
    assert refused(sqs.create_queue, QueueName=name, Attributes={'DelaySeconds': '1'})['Code'] == 'QueueAlreadyExists'
    assert refused(sqs.delete_message, QueueUrl=url, ReceiptHandle='made up')['Code'] == 'ReceiptHandleIsInvalid'
    sqs.purge_queue(QueueUrl=url)
    assert refused(sqs.purge_queue, QueueUrl=url)['Code'] == 'AWS.SimpleQueueService.PurgeQueueInProgress'
    error = refused(sqs.set_queue_attributes, QueueUrl=url, Attributes={'KmsMasterKeyId': 'alias/aws/sqs'})
    assert error['Code'] == 'InvalidAttributeValue' and 'encryption' in error['Message']


def test_batches_and_delays(sqs, name):
    url = sqs.create_queue(QueueName=name)['QueueUrl']
    entries = [{'Id': str(i), 'MessageBody': str(i), 'DelaySeconds': 900 if i == 9 else 0} for i in range(10)]
    entries.append(dict(entries[0], Id='10'))
    error = refused(sqs.send_message_batch, QueueUrl=url, Entries=entries)
    assert error['Code'] == 'AWS.SimpleQueueService.TooManyEntriesInBatchRequest'
    assert len(sqs.send_message_batch(QueueUrl=url, Entries=entries[:10])['Successful']) == 10
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=['All'])['Attributes']
    assert (attributes['ApproximateNumberOfMessages'], attributes['ApproximateNumberOfMessagesDelayed']) == ('9', '1')
    got = receive(sqs, url)
    assert sorted(m['Body'] for m in got) == [str(i) for i in range(9)]
    change = [{'Id': m['Body'], 'ReceiptHandle': m['ReceiptHandle'], 'VisibilityTimeout': 0} for m in got]
    assert len(sqs.change_message_visibility_batch(QueueUrl=url, Entries=change)['Successful']) == 9
    got = receive(sqs, url)
    delete = [{'Id': m['Body'], 'ReceiptHandle': m['ReceiptHandle']} for m in got] + [{'Id': 'x', 'ReceiptHandle': 'x'}]
    deleted = sqs.delete_message_batch(QueueUrl=url, Entries=delete[-10:])
    assert [f['Id'] for f in deleted['Failed']] == ['x'] and deleted['Failed'][0]['SenderFault']
    assert receive(sqs, url) == []


def test_a_long_poll_wakes_on_arrival(server, sqs, name):
    url = sqs.create_queue(QueueName=name)['QueueUrl']
    got = []
    waiting = threading.Thread(target=lambda: got.extend(receive(server.client('sqs'), url, WaitTimeSeconds=20)))
    waiting.start()
    # Nothing is said about how long it takes: only that it ends with the message, and not with the twenty seconds.
    time.sleep(0.5)
    began = time.monotonic()
    sqs.send_message(QueueUrl=url, MessageBody='a')
    waiting.join()
    assert [m['Body'] for m in got] == ['a'] and time.monotonic() - began < 15


def test_fifo(sqs, name):
    attributes = {'FifoQueue': 'true', 'ContentBasedDeduplication': 'true'}
    url = sqs.create_queue(QueueName=name + '.fifo', Attributes=attributes)['QueueUrl']
    assert refused(sqs.send_message, QueueUrl=url, MessageBody='a')['Code'] == 'MissingParameter'
    first = sqs.send_message(QueueUrl=url, MessageBody='a1', MessageGroupId='a')
    assert sqs.send_message(QueueUrl=url, MessageBody='a1', MessageGroupId='a')['MessageId'] == first['MessageId']
    second = sqs.send_message(QueueUrl=url, MessageBody='a2', MessageGroupId='a')
    assert int(second['SequenceNumber']) > int(first['SequenceNumber']) >= 10 ** 19
    sqs.send_message(QueueUrl=url, MessageBody='b1', MessageGroupId='b')
    [a1] = receive(sqs, url, MaxNumberOfMessages=1, ReceiveRequestAttemptId='r')
    [again] = receive(sqs, url, MaxNumberOfMessages=1, ReceiveRequestAttemptId='r')
    assert (a1['Body'], again['ReceiptHandle']) == ('a1', a1['ReceiptHandle'])
    assert [m['Body'] for m in receive(sqs, url)] == ['b1'], 'the group of a1 waits'
    sqs.delete_message(QueueUrl=url, ReceiptHandle=a1['ReceiptHandle'])
    [a2] = receive(sqs, url)
    assert (a2['Body'], a2['Attributes']['MessageGroupId']) == ('a2', 'a')


def test_dead_letters_and_their_way_back(sqs, name, until):
    dead = sqs.create_queue(QueueName=name + '-dead')['QueueUrl']
    policy = json.dumps({'deadLetterTargetArn': ARN + name + '-dead', 'maxReceiveCount': 1})
    url = sqs.create_queue(QueueName=name, Attributes={'RedrivePolicy': policy, 'VisibilityTimeout': '0'})['QueueUrl']
    assert sqs.list_dead_letter_source_queues(QueueUrl=dead)['queueUrls'] == [url]
    sent = sqs.send_message(QueueUrl=url, MessageBody='poison')
    assert len(receive(sqs, url)) == 1 and receive(sqs, url) == []
    [letter] = receive(sqs, dead, VisibilityTimeout=0)
    assert letter['MessageId'] == sent['MessageId']
    assert letter['Attributes']['DeadLetterQueueSourceArn'] == ARN + name
    assert sqs.start_message_move_task(SourceArn=ARN + name + '-dead')['TaskHandle']
    look = lambda: sqs.list_message_move_tasks(SourceArn=ARN + name + '-dead')['Results'][0]
    done = until(lambda: look()['Status'] == 'COMPLETED' and look())
    assert done['ApproximateNumberOfMessagesMoved'] == 1
    assert [m['Body'] for m in receive(sqs, url)] == ['poison']
    assert refused(sqs.start_message_move_task, SourceArn=ARN + name)['Code'] == 'InvalidParameterValue'
    denied = json.dumps({'redrivePermission': 'denyAll'})
    sqs.set_queue_attributes(QueueUrl=dead, Attributes={'RedriveAllowPolicy': denied})
    other = {'QueueName': name + '-other', 'Attributes': {'RedrivePolicy': policy}}
    assert refused(sqs.create_queue, **other)['Code'] == 'InvalidParameterValue'


def test_permissions_and_tags(sqs, name):
    url = sqs.create_queue(QueueName=name)['QueueUrl']
    sqs.add_permission(QueueUrl=url, Label='l', AWSAccountIds=['111122223333'], Actions=['SendMessage'])
    policy = json.loads(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=['Policy'])['Attributes']['Policy'])
    assert policy['Statement'][0]['Principal'] == {'AWS': 'arn:aws:iam::111122223333:root'}
    sqs.remove_permission(QueueUrl=url, Label='l')
    assert 'Attributes' not in sqs.get_queue_attributes(QueueUrl=url, AttributeNames=['Policy'])
    sqs.tag_queue(QueueUrl=url, Tags={'a': '1', 'b': '2'})
    sqs.untag_queue(QueueUrl=url, TagKeys=['a'])
    assert sqs.list_queue_tags(QueueUrl=url)['Tags'] == {'b': '2'}


def test_a_queues_policy_lets_a_rule_in_or_not(server, sqs, name, until):
    url = sqs.create_queue(QueueName=name)['QueueUrl']
    events = server.client('events')
    rule = events.put_rule(Name=name, EventPattern=json.dumps({'source': [name]}))['RuleArn']
    events.put_targets(Rule=name, Targets=[{'Id': '1', 'Arn': ARN + name}])
    allow = {'Effect': 'Allow', 'Principal': {'Service': 'events.amazonaws.com'}, 'Action': 'sqs:SendMessage',
             'Resource': ARN + name, 'Condition': {'ArnEquals': {'aws:SourceArn': rule}}}

    def put(statement, detail):
        policy = json.dumps({'Version': '2012-10-17', 'Statement': [statement]})
        sqs.set_queue_attributes(QueueUrl=url, Attributes={'Policy': policy})
        events.put_events(Entries=[{'Source': name, 'DetailType': 't', 'Detail': json.dumps({'n': detail})}])

    put(allow, 1)
    [message] = until(lambda: receive(sqs, url))
    assert json.loads(message['Body'])['detail'] == {'n': 1}
    put(dict(allow, Principal={'Service': 'sns.amazonaws.com'}), 2)
    until(lambda: any(letter['code'] == 'AccessDenied' for letter in server.own('status')['dead']))
    assert receive(sqs, url) == []


def test_nothing_is_lost_or_comes_back_over_a_kill(fresh, name):
    server = fresh()
    sqs = server.client('sqs')
    url = sqs.create_queue(QueueName='q')['QueueUrl']
    fifo = sqs.create_queue(QueueName='q.fifo', Attributes={'FifoQueue': 'true'})['QueueUrl']
    for batch in range(20):
        entries = [{'Id': str(i), 'MessageBody': str(batch * 10 + i)} for i in range(10)]
        sqs.send_message_batch(QueueUrl=url, Entries=entries)
        entries = [dict(e, MessageGroupId=e['Id'], MessageDeduplicationId=e['MessageBody']) for e in entries]
        sqs.send_message_batch(QueueUrl=fifo, Entries=entries)
    gone = receive(sqs, url) + receive(sqs, url)
    entries = [{'Id': str(i), 'ReceiptHandle': m['ReceiptHandle']} for i, m in enumerate(gone)]
    for half in (entries[:10], entries[10:]):
        sqs.delete_message_batch(QueueUrl=url, Entries=half)
    receive(sqs, url, VisibilityTimeout=600)
    [head] = receive(sqs, fifo, MaxNumberOfMessages=1)
    sqs.delete_message(QueueUrl=fifo, ReceiptHandle=head['ReceiptHandle'])
    server.kill()
    server.start()
    left = set()
    while got := receive(sqs, url, VisibilityTimeout=600):
        left.update(m['Body'] for m in got)
    assert left == {str(n) for n in range(200)} - {m['Body'] for m in gone}
    again = sqs.send_message(QueueUrl=fifo, MessageBody='x', MessageGroupId='0', MessageDeduplicationId=head['Body'])
    assert again['MessageId'] == head['MessageId']
    seen = {}
    while got := receive(sqs, fifo):
        for m in got:
            seen.setdefault(m['Attributes']['MessageGroupId'], []).append(int(m['Body']))
            sqs.delete_message(QueueUrl=fifo, ReceiptHandle=m['ReceiptHandle'])
    assert sum(map(len, seen.values())) == 199
    assert all(numbers == sorted(numbers) for numbers in seen.values()), seen


def query(server, path='/', **parameters):
    """A signed request of the query protocol; the status and the answer's elements without their namespace."""
    body = urllib.parse.urlencode({'Version': '2012-11-05', **parameters})
    request = AWSRequest('POST', server.endpoint + path, data=body, headers={
        'Content-Type': 'application/x-www-form-urlencoded; charset=utf-8'})
    SigV4Auth(Credentials('test', 'test'), 'sqs', 'us-east-1').add_auth(request)
    plain = urllib.request.Request(request.url, data=body.encode(), headers=dict(request.headers))
    try:
        with urllib.request.urlopen(plain) as answer:
            status, text = answer.status, answer.read()
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read()
    root = ElementTree.fromstring(text)
    for element in root.iter():
        element.tag = element.tag.split('}')[-1]
    return status, root


def test_the_query_protocol(server, name):
    status, root = query(server, Action='CreateQueue', QueueName=name, **{
        'Attribute.1.Name': 'VisibilityTimeout', 'Attribute.1.Value': '0', 'Tag.1.Key': 'k', 'Tag.1.Value': 'v'})
    assert (status, root.tag) == (200, 'CreateQueueResponse')
    url = root.findtext('CreateQueueResult/QueueUrl')
    path = urllib.parse.urlparse(url).path
    _, root = query(server, path, Action='SendMessage', MessageBody='a & b', **{
        'MessageAttribute.1.Name': 'n', 'MessageAttribute.1.Value.DataType': 'Number',
        'MessageAttribute.1.Value.StringValue': '1'})
    sent = root.findtext('SendMessageResult/MessageId')
    assert root.findtext('SendMessageResult/MD5OfMessageBody') == hashlib.md5(b'a & b').hexdigest()
    _, root = query(server, path, Action='ReceiveMessage', **{
        'AttributeName.1': 'All', 'MessageAttributeName.1': '.*', 'MaxNumberOfMessages': '5'})
    message = root.find('ReceiveMessageResult/Message')
    assert (message.findtext('MessageId'), message.findtext('Body')) == (sent, 'a & b')
    assert message.findtext('MessageAttribute/Name') == 'n'
    assert message.findtext('MessageAttribute/Value/StringValue') == '1'
    assert {a.findtext('Name') for a in message.findall('Attribute')} >= {'SenderId', 'SentTimestamp'}
    _, root = query(server, path, Action='SendMessageBatch', **{
        'SendMessageBatchRequestEntry.1.Id': 'x', 'SendMessageBatchRequestEntry.1.MessageBody': 'b',
        'SendMessageBatchRequestEntry.2.Id': 'y', 'SendMessageBatchRequestEntry.2.MessageBody': '\x01'})
    assert root.findtext('SendMessageBatchResult/SendMessageBatchResultEntry/Id') == 'x'
    assert root.findtext('SendMessageBatchResult/BatchResultErrorEntry/Code') == 'InvalidMessageContents'
    _, root = query(server, path, Action='GetQueueAttributes', **{'AttributeName.1': 'All'})
    found = {a.findtext('Name'): a.findtext('Value') for a in root.iter('Attribute')}
    assert found['ApproximateNumberOfMessages'] == '2'
    _, root = query(server, path, Action='ListQueueTags')
    assert root.findtext('ListQueueTagsResult/Tag/Value') == 'v'
    status, root = query(server, path, Action='AddPermission', Label='l', **{
        'AWSAccountId.1': '111122223333', 'ActionName.1': 'SendMessage'})
    assert (status, root.tag) == (200, 'AddPermissionResponse')
    status, root = query(server, path, Action='DeleteMessage', ReceiptHandle=message.findtext('ReceiptHandle'))
    assert status == 200 and root.findtext('ResponseMetadata/RequestId')
    status, root = query(server, '/000000000000/nobody-' + name, Action='SendMessage', MessageBody='a')
    assert (status, root.tag) == (400, 'ErrorResponse')
    assert root.findtext('Error/Code') == 'AWS.SimpleQueueService.NonExistentQueue'
    assert root.findtext('Error/Type') == 'Sender'
    _, root = query(server, Action='ListQueues', QueueNamePrefix=name)
    assert [u.text for u in root.iter('QueueUrl')] == [url]


def test_the_aws_cli(server, name):
    aws = os.path.join(os.path.dirname(sys.executable), 'aws')
    environment = dict(os.environ, AWS_ACCESS_KEY_ID='test', AWS_SECRET_ACCESS_KEY='test', AWS_DEFAULT_REGION='us-east-1')

    def cli(*arguments):
        command = [sys.executable, aws, '--endpoint-url', server.endpoint, 'sqs', *arguments]
        out = subprocess.run(command, env=environment, capture_output=True, check=True).stdout
        return json.loads(out) if out.strip() else None

    attributes = json.dumps({'FifoQueue': 'true', 'ContentBasedDeduplication': 'true'})
    url = cli('create-queue', '--queue-name', name + '.fifo', '--attributes', attributes)['QueueUrl']
    sent = cli('send-message', '--queue-url', url, '--message-body', 'from the shell', '--message-group-id', 'g')
    [message] = cli('receive-message', '--queue-url', url, '--attribute-names', 'All')['Messages']
    assert (message['Body'], message['MessageId']) == ('from the shell', sent['MessageId'])
    assert message['Attributes']['SequenceNumber'] == sent['SequenceNumber']
    cli('delete-message', '--queue-url', url, '--receipt-handle', message['ReceiptHandle'])
    cli('delete-queue', '--queue-url', url)
