"""Topics with boto3: FIFO, batches, signatures that others verify, policies of web servers."""

import base64
import http.server
import json
import os
import ssl
import subprocess
import threading
import time
import urllib.request

import boto3
import pytest
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from conftest import lets_in


class Receiver:
    """A web server that keeps what it is sent and answers with these states in turn, then always with the last."""

    def __init__(self, *states, context=None, headers=None):
        self.states, self.got, self.headers = list(states) or [200], [], headers or {}
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'

            def do_POST(self):
                body = self.rfile.read(int(self.headers['Content-Length']))
                outer.got.append((time.monotonic(), self.path, dict(self.headers), body))
                status = outer.states.pop(0) if len(outer.states) > 1 else outer.states[0]
                self.send_response(status)
                for name, value in outer.headers.items() if status == 429 else ():
                    self.send_header(name, value)
                self.send_header('Content-Length', '2')
                self.end_headers()
                self.wfile.write(b'ok')

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        if context:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def bodies(self):
        return [json.loads(body) for _, _, _, body in self.got]


@pytest.fixture
def receiver():
    made = []

    def make(*states, **more):
        made.append(Receiver(*states, **more))
        return made[-1]

    yield make
    for one in made:
        one.close()


def verify(message):
    """As AWS's page says."""
    if message['Type'] == 'Notification':
        names = ['Message', 'MessageId', 'Subject', 'Timestamp', 'TopicArn', 'Type']
    else:
        names = ['Message', 'MessageId', 'SubscribeURL', 'Timestamp', 'Token', 'TopicArn', 'Type']
    text = ''.join('{}\n{}\n'.format(name, message[name]) for name in names if name in message)
    with urllib.request.urlopen(message['SigningCertURL'], timeout=30) as answer:
        certificate = x509.load_pem_x509_certificate(answer.read())
    algorithm = {'1': hashes.SHA1, '2': hashes.SHA256}[message['SignatureVersion']]()
    certificate.public_key().verify(
        base64.b64decode(message['Signature']), text.encode(), padding.PKCS1v15(), algorithm)


def queue(sqs, name, **attributes):
    attributes['Policy'] = lets_in('sns')
    url = sqs.create_queue(QueueName=name, Attributes=attributes)['QueueUrl']
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=['QueueArn'])['Attributes']['QueueArn']
    return url, arn


def drain(sqs, url, count, patience=60):
    out, end = [], time.monotonic() + patience
    while len(out) < count:
        assert time.monotonic() < end, out
        got = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1, AttributeNames=['All'])
        for message in got.get('Messages', []):
            out.append(message)
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message['ReceiptHandle'])
    return out


def test_fifo_topics_keep_groups_in_order_through_crashes(fresh):
    server = fresh()
    sns, sqs = server.client('sns'), server.client('sqs')
    url, arn = queue(sqs, 'orders.fifo', FifoQueue='true')
    topic = sns.create_topic(Name='orders.fifo', Attributes={'FifoTopic': 'true'})['TopicArn']
    sns.subscribe(TopicArn=topic, Protocol='sqs', Endpoint=arn, Attributes={'RawMessageDelivery': 'true'})
    published = 0
    for round_ in range(3):
        for _ in range(4):
            entries = [{
                'Id': str(n), 'Message': str(published + n), 'MessageGroupId': 'g{}'.format((published + n) % 3),
                'MessageDeduplicationId': str(published + n)} for n in range(10)]
            answer = sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=entries)
            assert not answer['Failed'] and len(answer['Successful']) == 10
            published += 10
        server.kill()
        server.start()
        # The publisher did not see the last answer, and asks again.
        again = sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=entries)
        assert [e['MessageId'] for e in again['Successful']] == [e['MessageId'] for e in answer['Successful']]
    groups = {}
    for message in drain(sqs, url, published):
        groups.setdefault(message['Attributes']['MessageGroupId'], []).append(int(message['Body']))
    assert sum(map(len, groups.values())) == published
    for numbers in groups.values():
        assert numbers == sorted(numbers), numbers


def test_signatures_hold_for_queues_and_functions(server, name):
    sns, sqs = server.client('sns'), server.client('sqs')
    url, arn = queue(sqs, name)
    topic = sns.create_topic(Name=name)['TopicArn']
    sns.subscribe(TopicArn=topic, Protocol='sqs', Endpoint=arn)
    for version in ('1', '2'):
        sns.set_topic_attributes(TopicArn=topic, AttributeName='SignatureVersion', AttributeValue=version)
        sns.publish(TopicArn=topic, Message='a\n"b" ü', Subject='S')
        message = json.loads(drain(sqs, url, 1)[0]['Body'])
        assert message['SignatureVersion'] == version
        verify(message)


VALIDATOR = '''
const MessageValidator = require('sns-validator');
const validator = new MessageValidator(new RegExp('^127\\.0\\.0\\.1:'));
const messages = JSON.parse(process.argv[2]);
let left = messages.length;
for (const message of messages) {
  validator.validate(message, (error) => {
    console.log(error ? String(error) : 'valid');
    if (--left === 0) process.exit(0);
  });
}
'''


def test_the_usual_validator_takes_what_is_signed_and_nothing_else(fresh, tls, javascript):
    server = fresh('--tls-cert', str(tls / 'cert.pem'), '--tls-key', str(tls / 'key.pem'), authority=str(tls / 'ca.pem'))
    sns, sqs = server.client('sns'), server.client('sqs')
    url, arn = queue(sqs, 'signed')
    topic = sns.create_topic(Name='signed')['TopicArn']
    sns.subscribe(TopicArn=topic, Protocol='sqs', Endpoint=arn)
    messages = []
    for version in ('1', '2'):
        sns.set_topic_attributes(TopicArn=topic, AttributeName='SignatureVersion', AttributeValue=version)
        sns.publish(TopicArn=topic, Message='a "b" ü', Subject='S')
        messages += [json.loads(message['Body']) for message in drain(sqs, url, 1)]
    messages.append({**messages[1], 'Message': 'another'})
    script = javascript / 'validate.cjs'
    script.write_text(VALIDATOR)
    said = subprocess.run(
        ['node', str(script), json.dumps(messages)], capture_output=True, text=True, timeout=60, check=True,
        env={**os.environ, 'NODE_EXTRA_CA_CERTS': str(tls / 'ca.pem')})
    assert sorted(said.stdout.splitlines()) == ['Error: The message signature is invalid.', 'valid', 'valid'], said


def test_a_web_server_confirms_is_notified_and_may_take_its_end_back(server, name, receiver, until):
    sns = server.client('sns')
    hook = receiver(200)
    topic = sns.create_topic(Name=name)['TopicArn']
    sns.subscribe(TopicArn=topic, Protocol='http', Endpoint='http://127.0.0.1:{}/in'.format(hook.port))
    question = until(lambda: hook.bodies())[0]
    assert question['Type'] == 'SubscriptionConfirmation'
    verify(question)
    urllib.request.urlopen(question['SubscribeURL'], timeout=30).read()
    sns.publish(TopicArn=topic, Message='hello')
    note = until(lambda: hook.bodies()[1:])[0]
    verify(note)
    headers = {key.lower(): value for key, value in hook.got[1][2].items()}
    assert headers['x-amz-sns-message-type'] == 'Notification' and headers['x-amz-sns-topic-arn'] == topic
    urllib.request.urlopen(note['UnsubscribeURL'], timeout=30).read()
    end = until(lambda: hook.bodies()[2:])[0]
    assert end['Type'] == 'UnsubscribeConfirmation'
    verify(end)
    assert sns.list_subscriptions_by_topic(TopicArn=topic)['Subscriptions'] == []
    urllib.request.urlopen(end['SubscribeURL'], timeout=30).read()
    assert len(sns.list_subscriptions_by_topic(TopicArn=topic)['Subscriptions']) == 1


def test_delivery_policies_and_dead_letters(server, name, receiver, until):
    sns, sqs = server.client('sns'), server.client('sqs')
    url, dead = queue(sqs, name)
    hook = receiver(200, 500)
    topic = sns.create_topic(Name=name)['TopicArn']
    policy = {'healthyRetryPolicy': {
        'numRetries': 3, 'numNoDelayRetries': 2, 'minDelayTarget': 1, 'maxDelayTarget': 1,
        'backoffFunction': 'arithmetic'}, 'throttlePolicy': {'maxReceivesPerSecond': 20}}
    subscription = sns.subscribe(
        TopicArn=topic, Protocol='http', Endpoint='http://127.0.0.1:{}/in'.format(hook.port),
        Attributes={'DeliveryPolicy': json.dumps(policy), 'RedrivePolicy': json.dumps({'deadLetterTargetArn': dead})},
        ReturnSubscriptionArn=True)['SubscriptionArn']
    token = until(lambda: hook.bodies())[0]['Token']
    sns.confirm_subscription(TopicArn=topic, Token=token)
    shown = json.loads(sns.get_subscription_attributes(
        SubscriptionArn=subscription)['Attributes']['EffectiveDeliveryPolicy'])
    assert shown['healthyRetryPolicy']['numNoDelayRetries'] == 2
    assert shown['throttlePolicy'] == {'maxReceivesPerSecond': 20}
    sns.publish(TopicArn=topic, Message='hello')
    letter = drain(sqs, url, 1)[0]
    assert json.loads(letter['Body'])['Message'] == 'hello'
    assert len(hook.got) == 1 + 4, 'one try and three more'


def test_settings_of_topics_and_text_messages(server, name):
    sns = server.client('sns')
    topic = sns.create_topic(Name=name, Tags=[{'Key': 'a', 'Value': '1'}])['TopicArn']
    sns.tag_resource(ResourceArn=topic, Tags=[{'Key': 'b', 'Value': '2'}])
    sns.untag_resource(ResourceArn=topic, TagKeys=['a'])
    assert sns.list_tags_for_resource(ResourceArn=topic)['Tags'] == [{'Key': 'b', 'Value': '2'}]
    sns.add_permission(TopicArn=topic, Label='share', AWSAccountId=['111122223333'], ActionName=['Publish'])
    policy = json.loads(sns.get_topic_attributes(TopicArn=topic)['Attributes']['Policy'])
    assert policy['Statement'][1]['Sid'] == 'share'
    sns.remove_permission(TopicArn=topic, Label='share')
    sns.set_sms_attributes(attributes={'DefaultSMSType': 'Transactional'})
    assert sns.get_sms_attributes(attributes=['DefaultSMSType'])['attributes'] == {'DefaultSMSType': 'Transactional'}
    assert sns.check_if_phone_number_is_opted_out(phoneNumber='+15551230000')['isOptedOut'] is False
    assert sns.list_phone_numbers_opted_out()['phoneNumbers'] == []
    assert sns.get_sms_sandbox_account_status()['IsInSandbox'] is False
    for attribute, value, code in [
            ('KmsMasterKeyId', 'alias/aws/sns', 'InvalidParameter'), ('SignatureVersion', '3', 'InvalidParameter')]:
        with pytest.raises(ClientError) as refused:
            sns.set_topic_attributes(TopicArn=topic, AttributeName=attribute, AttributeValue=value)
        assert refused.value.response['Error']['Code'] == code
    for entries, error in [([], 'EmptyBatchRequest'), ([{'Id': 'a', 'Message': 'm'}] * 2, 'BatchEntryIdsNotDistinct')]:
        with pytest.raises(ClientError) as refused:
            sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=entries)
        assert refused.value.response['Error']['Code'] == error


def test_deliveries_are_logged(server, name, until):
    sns, sqs = server.client('sns'), server.client('sqs')
    url, arn = queue(sqs, name)
    topic = sns.create_topic(Name=name, Attributes={
        'SQSSuccessFeedbackRoleArn': 'arn:aws:iam::000000000000:role/logs', 'SQSSuccessFeedbackSampleRate': '100'})
    sns.subscribe(TopicArn=topic['TopicArn'], Protocol='sqs', Endpoint=arn)
    sent = sns.publish(TopicArn=topic['TopicArn'], Message='hello')['MessageId']
    drain(sqs, url, 1)

    def look():
        try:
            return server.own('tail?from=0&what=sns/us-east-1/000000000000/' + name)['lines']
        except urllib.error.HTTPError:
            return []
    line = json.loads(until(look)[0]['text'])
    assert line['status'] == 'SUCCESS' and line['notification']['messageId'] == sent
    assert line['delivery']['destination'] == arn
