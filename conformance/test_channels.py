"""Channels that reach people, with real receivers: an SMTP relay, an SMPP message centre, chats that check what they get."""

import asyncio
import email
import email.policy
import json
import ssl
import threading
import urllib.request

import aiosmtpd.controller
import aiosmtpd.smtp
import pytest
import smpp34

from conftest import free_port
from test_sns import Receiver, verify

CALL = {
    'version': '0', 'id': '1', 'detail-type': 'AWS API Call via CloudTrail', 'source': 'aws.ec2',
    'account': '000000000000', 'time': '2026-01-01T00:00:00Z', 'region': 'us-east-1', 'resources': [],
    'detail': {
        'eventName': 'TerminateInstances', 'eventSource': 'ec2.amazonaws.com', 'awsRegion': 'us-east-1',
        'sourceIPAddress': '192.0.2.1', 'userIdentity': {'arn': 'arn:aws:iam::000000000000:user/ann'},
        'eventTime': '2026-01-01T00:00:00Z', 'requestParameters': {'instancesSet': {'items': [{'instanceId': 'i-1'}]}}}}


def alarm(state):
    return {
        'AlarmName': 'cpu', 'AlarmDescription': 'too <hot> & loud', 'AWSAccountId': '000000000000',
        'NewStateValue': state, 'OldStateValue': 'OK', 'NewStateReason': '1 datapoint', 'Region': 'US East',
        'StateChangeTime': '2026-01-01T00:00:00.000+0000', 'Trigger': {'MetricName': 'CPU', 'Namespace': 'AWS/EC2'},
        'AlarmArn': 'arn:aws:cloudwatch:us-east-1:000000000000:alarm:cpu'}


MESSAGES = ['hello', 'x' * 20_000, json.dumps(CALL), json.dumps(alarm('ALARM')), json.dumps(alarm('OK')),
            json.dumps({'any': ['thing', 1]})]


def check_slack(body):
    """https://docs.slack.dev/reference/block-kit/blocks"""
    assert body['text'] and 1 <= len(body['blocks']) <= 50

    def text(one, most, *kinds):
        assert set(one) <= {'type', 'text', 'emoji', 'verbatim'} and one['type'] in kinds
        assert 1 <= len(one['text']) <= most
    for block in body['blocks']:
        if block['type'] == 'header':
            text(block['text'], 150, 'plain_text')
        elif block['type'] == 'section':
            assert 'text' in block or 'fields' in block
            if 'text' in block:
                text(block['text'], 3000, 'mrkdwn', 'plain_text')
            assert 'fields' not in block or 1 <= len(block['fields']) <= 10
            for field in block.get('fields', []):
                text(field, 2000, 'mrkdwn', 'plain_text')
        elif block['type'] == 'context':
            assert 1 <= len(block['elements']) <= 10
            for element in block['elements']:
                text(element, 3000, 'mrkdwn', 'plain_text')
        else:
            raise AssertionError(block)


def check_pagerduty(body):
    """https://developer.pagerduty.com/docs/events-api-v2/trigger-events/"""
    assert body['routing_key'] == 'R0UTE' and body['event_action'] in ('trigger', 'acknowledge', 'resolve')
    assert 1 <= len(body['dedup_key']) <= 255
    assert set(body) <= {'routing_key', 'event_action', 'dedup_key', 'payload', 'client', 'client_url', 'links', 'images'}
    if body['event_action'] == 'trigger':
        payload = body['payload']
        assert 1 <= len(payload['summary']) <= 1024 and payload['source']
        assert payload['severity'] in ('critical', 'error', 'warning', 'info')
        assert set(payload) <= {
            'summary', 'source', 'severity', 'timestamp', 'component', 'group', 'class', 'custom_details'}
    assert len(json.dumps(body)) < 512_000


def check_teams(body):
    """https://adaptivecards.io/explorer/ and Teams' page on incoming webhooks"""
    assert set(body) == {'type', 'attachments'} and body['type'] == 'message' and len(body['attachments']) == 1
    attachment = body['attachments'][0]
    assert attachment['contentType'] == 'application/vnd.microsoft.card.adaptive' and attachment['contentUrl'] is None
    card = attachment['content']
    assert card['type'] == 'AdaptiveCard' and card['version'] in ('1.2', '1.3', '1.4', '1.5') and card['body']
    for element in card['body']:
        if element['type'] == 'TextBlock':
            assert isinstance(element['text'], str) and element['text']
            assert element.get('color', 'Default') in ('Default', 'Attention', 'Warning', 'Good', 'Accent')
            assert element.get('fontType', 'Default') in ('Default', 'Monospace')
        else:
            assert element['type'] == 'FactSet'
            assert all(set(fact) == {'title', 'value'} for fact in element['facts'])
    assert len(json.dumps(body).encode()) < 28 * 1024


@pytest.fixture(name='tls')
def server_side(tls):
    """An authority, and what a server of ours shows of it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls / 'cert.pem', tls / 'key.pem')
    return tls, context


class Relay:
    """An SMTP relay that wants TLS and a password."""

    def __init__(self, context):
        self.mails, self.refuse = [], []
        outer = self

        class Handler:
            async def handle_RCPT(self, server, session, envelope, address, options):
                if outer.refuse:
                    return outer.refuse.pop(0)
                envelope.rcpt_tos.append(address)
                return '250 OK'

            async def handle_DATA(self, server, session, envelope):
                outer.mails.append((session.ssl is not None, envelope))
                return '250 kept'

        def authenticate(server, session, envelope, mechanism, data):
            return aiosmtpd.smtp.AuthResult(success=(data.login, data.password) == (b'me', b'pw'))

        self.controller = aiosmtpd.controller.Controller(
            Handler(), hostname='127.0.0.1', port=free_port(), tls_context=context, require_starttls=True,
            authenticator=authenticate, auth_required=True)
        self.controller.start()

    def letters(self):
        return [email.message_from_bytes(e.content, policy=email.policy.default) for _, e in self.mails]


def configured(tmp_path, text):
    path = tmp_path / 'headwater.toml'
    path.write_text(text)
    return '--config', str(path)


def test_mail_by_smtp_under_starttls(fresh, tmp_path, tls, until):
    folder, context = tls
    relay = Relay(context)
    try:
        server = fresh(*configured(tmp_path, '''
            [mail]
            host = "localhost"
            port = {}
            from = "Headwater <no-reply@example.com>"
            user = "me"
            secret = "pw"
            ca = "{}"
        '''.format(relay.controller.port, folder / 'ca.pem')))
        sns = server.client('sns')
        topic = sns.create_topic(Name='alarms', Attributes={'DisplayName': 'Störung'})['TopicArn']
        relay.refuse.append('451 later')
        for protocol in ('email', 'email-json'):
            sns.subscribe(TopicArn=topic, Protocol=protocol, Endpoint='ann@example.com')
        letters = until(lambda: relay.letters() if len(relay.mails) == 2 else None, 90)
        for letter in letters:
            text = letter.get_content()
            if text.startswith('{'):
                question = json.loads(text)
                verify(question)
                link = question['SubscribeURL']
            else:
                link = [line for line in text.splitlines() if line.startswith('http')][0]
            urllib.request.urlopen(link, timeout=30).read()
        sns.publish(TopicArn=topic, Message='zu heiß\n.\nwirklich', Subject='Alarm')
        mail, wrapped = sorted(
            (letter.get_content() for letter in until(lambda: relay.letters()[2:] if len(relay.mails) == 4 else None)),
            key=lambda text: text.startswith('{'))
        assert mail.startswith('zu heiß\n.\nwirklich\n')
        verify(json.loads(wrapped))
        last = relay.letters()[-1]
        assert last['Subject'] == 'Alarm' and last['From'] == 'Störung <no-reply@example.com>'
        assert all(secure and e.mail_from == 'no-reply@example.com' for secure, e in relay.mails)
        assert {n['status'] for n in server.own('outbox') if n['subject'] == 'Alarm'} == {'sent'}
    finally:
        relay.controller.stop()


class Centre:
    """A message centre; throttles the first message it gets."""

    def __init__(self):
        self.port, self.got, self.ready = free_port(), [], threading.Event()
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_until_complete, args=(self.serve(),), daemon=True).start()
        assert self.ready.wait(30)

    async def serve(self):
        server = smpp34.Server('127.0.0.1', self.port)
        await server.start()
        self.ready.set()
        phone, throttled = None, False
        while True:
            event = await server.next()
            if isinstance(event, smpp34.Esme):
                phone = event
            elif isinstance(event, smpp34.SubmitSmEvent):
                if not throttled:
                    throttled = True
                    event.reject(smpp34.ESME_RTHROTTLED)
                    continue
                self.got.append((event.source_addr, event.destination_addr, event.esm_class, event.data_coding,
                                 bytes(event.short_message)))
                event.accept('id-{}'.format(len(self.got)))
                receipt = 'id:id-{} sub:001 dlvrd:001 submit date:2601010000 done date:2601010000 stat:DELIVRD err:000 text:'
                await phone.deliver_sm('555', receipt.format(len(self.got)).encode(), source_addr='15551230000', esm_class=4)
                if b'bye' in bytes(event.short_message):
                    await phone.deliver_sm('555', b'STOP', source_addr='15551230000')
            elif event is None:
                return


def test_text_messages_by_smpp(fresh, tmp_path, until):
    centre = Centre()
    server = fresh(*configured(tmp_path, '''
        [smpp]
        host = "127.0.0.1"
        port = {}
        system-id = "me"
        password = "pw"
        from = "Ops"
    '''.format(centre.port)))
    sns = server.client('sns')
    number = '+15551230000'
    sns.publish(PhoneNumber=number, Message='Alarm {1}')
    until(lambda: centre.got, 60)
    source, destination, _, coding, text = centre.got[0]
    assert (source, destination, coding, text) == ('Ops', '15551230000', 0, b'Alarm \x1b\x281\x1b\x29')
    sns.publish(PhoneNumber=number, Message='ж' * 100)
    until(lambda: len(centre.got) == 3)
    first, second = centre.got[1:]
    assert first[2] & 0x40 and first[3] == 8 and first[4][:3] == b'\x05\x00\x03' and first[4][3] == second[4][3]
    assert (first[4][6:] + second[4][6:]).decode('utf-16-be') == 'ж' * 100
    until(lambda: [n for n in server.own('outbox') if n.get('receipt') == 'DELIVRD' and n['status'] == 'sent'])
    sns.publish(PhoneNumber=number, Message='bye')
    until(lambda: sns.check_if_phone_number_is_opted_out(phoneNumber=number)['isOptedOut'])
    sns.publish(PhoneNumber=number, Message='never')
    until(lambda: [n for n in server.own('outbox') if n['why'] == 'Phone number is opted out'])
    assert len(centre.got) == 4


@pytest.mark.parametrize('chat,check,query', [
    ('slack', check_slack, ''), ('pagerduty', check_pagerduty, '?routing_key=R0UTE'), ('teams', check_teams, '')])
def test_chats_take_what_they_get(fresh, tmp_path, tls, until, monkeypatch, chat, check, query):
    folder, context = tls
    monkeypatch.setenv('SSL_CERT_FILE', str(folder / 'ca.pem'))
    hook = Receiver(429, 200, context=context, headers={'Retry-After': '1'})
    try:
        server = fresh(*configured(
            tmp_path, '[channels.{}]\nhosts = ["localhost:{}"]\n'.format(chat, hook.port)))
        sns = server.client('sns')
        topic = sns.create_topic(Name='alarms')['TopicArn']
        endpoint = 'https://localhost:{}/v2/hook{}'.format(hook.port, query)
        arn = sns.subscribe(TopicArn=topic, Protocol='https', Endpoint=endpoint)['SubscriptionArn']
        assert arn.startswith(topic), 'nobody has to confirm'
        for message in MESSAGES:
            sns.publish(TopicArn=topic, Message=message, Subject='About <that> & more')
        until(lambda: len(hook.got) >= len(MESSAGES) + 1, 90)
        for body in hook.bodies():
            check(body)
        times = [at for at, _, _, _ in hook.got]
        assert chat != 'slack' or min(b - a for a, b in zip(times, times[1:])) > 0.8, 'one a second'
        if chat == 'pagerduty':
            keys = [b['dedup_key'] for b in hook.bodies() if b['dedup_key'] == alarm('OK')['AlarmArn']]
            assert len(keys) == 2, 'what is triggered is resolved'
    finally:
        hook.close()


def test_an_https_endpoint_with_a_certificate_of_its_own(fresh, tmp_path, tls, until, monkeypatch):
    folder, context = tls
    monkeypatch.setenv('SSL_CERT_FILE', str(folder / 'ca.pem'))
    hook = Receiver(200, context=context)
    try:
        server = fresh()
        sns = server.client('sns')
        topic = sns.create_topic(Name='alarms')['TopicArn']
        sns.subscribe(TopicArn=topic, Protocol='https', Endpoint='https://localhost:{}/in'.format(hook.port))
        question = until(lambda: hook.bodies(), 60)[0]
        verify(question)
    finally:
        hook.close()
