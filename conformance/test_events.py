"""Buses, connections, API destinations, archives and replays with boto3, and an HTTPS endpoint with a certificate of its own."""

import base64
import contextlib
import datetime
import http.server
import json
import os
import ssl
import subprocess
import threading
import time
import urllib.parse
import urllib.request

import pytest
from botocore.exceptions import ClientError

from conftest import BINARY, lets_in, make_role


def refused(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response['Error']
    return error['Code'], error['Message']


@contextlib.contextmanager
def endpoint(answer, certificate=None):
    """An HTTP server; `answer` gives a status and a body for (method, path, headers, body)."""
    seen = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = 'HTTP/1.1'

        def do(self):
            body = self.rfile.read(int(self.headers.get('content-length') or 0)).decode()
            request = {'method': self.command, 'path': self.path, 'headers': dict(self.headers), 'body': body}
            seen.append(request)
            status, text, *headers = answer(request)
            self.send_response(status)
            for key, value in headers:
                self.send_header(key, value)
            self.send_header('content-length', str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do

        def log_message(self, *_):
            pass

    served = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    scheme = 'http'
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        served.socket = context.wrap_socket(served.socket, server_side=True)
        scheme = 'https'
    thread = threading.Thread(target=served.serve_forever, daemon=True)
    thread.start()
    try:
        yield '{}://localhost:{}'.format(scheme, served.server_port), seen
    finally:
        served.shutdown()
        served.server_close()


def queue(server, name):
    sqs = server.client('sqs')
    url = sqs.create_queue(QueueName=name, Attributes={'Policy': lets_in('events')})['QueueUrl']
    return url, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=['QueueArn'])['Attributes']['QueueArn']


def receive(server, url, count, patience=20):
    sqs, found = server.client('sqs'), []
    end = time.monotonic() + patience
    while len(found) < count and time.monotonic() < end:
        answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1, MessageAttributeNames=['All'])
        for message in answer.get('Messages', []):
            found.append(message)
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message['ReceiptHandle'])
    assert len(found) == count
    return found


def put(events, source, detail, **more):
    answer = events.put_events(Entries=[{'Source': source, 'DetailType': 'T', 'Detail': json.dumps(detail), **more}])
    assert answer['FailedEntryCount'] == 0, answer


def rule(events, name, target, bus='default'):
    events.put_rule(Name=name, EventBusName=bus, EventPattern=json.dumps({'source': [name]}))
    answer = events.put_targets(Rule=name, EventBusName=bus, Targets=[{'Id': '1', **target}])
    assert answer['FailedEntryCount'] == 0, answer


def test_bus_policy_and_quotas(server, name):
    events = server.client('events')
    bus = events.create_event_bus(Name=name, Description='one')['EventBusArn']
    events.put_permission(EventBusName=name, StatementId='s', Principal='111111111111', Action='events:PutEvents')
    policy = json.loads(events.describe_event_bus(Name=name)['Policy'])
    assert policy['Statement'][0]['Principal'] == {'AWS': 'arn:aws:iam::111111111111:root'}
    assert policy['Statement'][0]['Resource'] == bus
    assert refused(events.remove_permission, EventBusName=name, StatementId='none')[0] == 'ResourceNotFoundException'
    deny = {'Version': '2012-10-17', 'Statement': [{'Effect': 'Deny', 'Principal': '*', 'Action': 'events:PutEvents', 'Resource': bus}]}
    events.put_permission(EventBusName=name, Policy=json.dumps(deny))
    entry = {'Source': name, 'DetailType': 'T', 'Detail': '{}', 'EventBusName': name}
    assert events.put_events(Entries=[entry])['Entries'][0]['ErrorCode'] == 'AccessDeniedException'
    events.remove_permission(EventBusName=name, RemoveAllPermissions=True)
    assert 'Policy' not in events.describe_event_bus(Name=name)
    assert events.put_events(Entries=[entry])['FailedEntryCount'] == 0
    assert events.update_event_bus(Name=name, Description='two')['Description'] == 'two'
    events.put_rule(Name='r', EventBusName=name, EventPattern='{"source":["x"]}')
    url, arn = queue(server, name)
    targets = [{'Id': str(number), 'Arn': arn} for number in range(6)]
    assert refused(events.put_targets, Rule='r', EventBusName=name, Targets=targets)[0] == 'LimitExceededException'


def test_https_destination_with_its_own_certificate(fresh, tmp_path, until, name):
    authority = tmp_path / 'tls'
    subprocess.run([BINARY, 'tls-init', '--dir', str(authority)], check=True, capture_output=True)
    certificate = (str(authority / 'cert.pem'), str(authority / 'key.pem'))
    before = os.environ.get('SSL_CERT_FILE')
    os.environ['SSL_CERT_FILE'] = str(authority / 'ca.pem')
    try:
        server = fresh()
    finally:
        os.environ.pop('SSL_CERT_FILE') if before is None else os.environ.update(SSL_CERT_FILE=before)
    events = server.client('events')
    statuses = [503, 429]

    def answer(request):
        return (statuses.pop(), 'busy') if statuses else (200, '')

    with endpoint(answer, certificate) as (url, seen):
        connection = events.create_connection(
            Name=name, AuthorizationType='BASIC',
            AuthParameters={'BasicAuthParameters': {'Username': 'me', 'Password': 'hush'},
                            'InvocationHttpParameters': {'HeaderParameters': [{'Key': 'X-Team', 'Value': 'a', 'IsValueSecret': True}]}})
        assert connection['ConnectionState'] == 'AUTHORIZED'
        made = events.create_api_destination(
            Name=name, ConnectionArn=connection['ConnectionArn'], HttpMethod='PUT',
            InvocationEndpoint=url + '/items/*', InvocationRateLimitPerSecond=50)
        rule(events, name, {'Arn': made['ApiDestinationArn'], 'RoleArn': make_role(server, name, 'events'), 'InputPath': '$.detail',
                            'HttpParameters': {'PathParameterValues': ['$.detail.id'], 'QueryStringParameters': {'v': '1'}}})
        put(events, name, {'id': 'a b'})
        until(lambda: len(seen) == 3)
    last = seen[-1]
    assert (last['method'], last['path'], json.loads(last['body'])) == ('PUT', '/items/a%20b?v=1', {'id': 'a b'})
    headers = {key.lower(): value for key, value in last['headers'].items()}
    assert headers['authorization'] == 'Basic ' + base64.b64encode(b'me:hush').decode()
    assert (headers['x-team'], headers['user-agent']) == ('a', 'Amazon/EventBridge/ApiDestinations')
    shown = events.describe_connection(Name=name)
    assert 'hush' not in str(shown) and 'SecretArn' not in shown
    assert shown['AuthParameters']['InvocationHttpParameters']['HeaderParameters'] == [{'Key': 'X-Team', 'IsValueSecret': True}]


def test_oauth_tokens_are_fetched_and_refreshed(server, until, name):
    events = server.client('events')
    granted = []

    def answer(request):
        if request['path'] == '/token':
            form = urllib.parse.parse_qs(request['body'])
            assert form['grant_type'] == ['client_credentials'] and form['client_secret'] == ['hush&'], form
            granted.append('t{}'.format(len(granted)))
            return 200, json.dumps({'access_token': granted[-1], 'token_type': 'Bearer', 'expires_in': 3600})
        token = {key.lower(): value for key, value in request['headers'].items()}['authorization']
        # The first token is good once.
        first = sum(1 for other in seen if other['path'] == '/in') == 1
        return (200, '') if token == 'Bearer t1' or (token == 'Bearer t0' and first) else (401, '')

    with endpoint(answer) as (url, seen):
        made = events.create_connection(
            Name=name, AuthorizationType='OAUTH_CLIENT_CREDENTIALS',
            AuthParameters={'OAuthParameters': {
                'ClientParameters': {'ClientID': 'id', 'ClientSecret': 'hush&'}, 'HttpMethod': 'POST',
                'AuthorizationEndpoint': url + '/token'}})
        assert made['ConnectionState'] in ('AUTHORIZING', 'AUTHORIZED')
        until(lambda: events.describe_connection(Name=name)['ConnectionState'] == 'AUTHORIZED')
        destination = events.create_api_destination(
            Name=name, ConnectionArn=made['ConnectionArn'], HttpMethod='POST', InvocationEndpoint=url + '/in')
        rule(events, name, {'Arn': destination['ApiDestinationArn']})
        for number in range(3):
            put(events, name, {'n': number})
        until(lambda: len({request['body'] for request in seen if request['path'] == '/in' and
                           request['headers'].get('authorization') == 'Bearer t1'}) >= 2)
        assert granted == ['t0', 't1']


def test_refusals_go_to_the_dead_letter_queue(server, name):
    events = server.client('events')
    url, arn = queue(server, name)
    with endpoint(lambda _: (404, 'no')) as (address, _):
        connection = events.create_connection(
            Name=name, AuthorizationType='API_KEY',
            AuthParameters={'ApiKeyAuthParameters': {'ApiKeyName': 'X-Key', 'ApiKeyValue': 'hush'}})
        made = events.create_api_destination(
            Name=name, ConnectionArn=connection['ConnectionArn'], HttpMethod='POST', InvocationEndpoint=address)
        rule(events, name, {'Arn': made['ApiDestinationArn'], 'DeadLetterConfig': {'Arn': arn}})
        put(events, name, {'n': 1})
        letter, = receive(server, url, 1)
        said = {key: value['StringValue'] for key, value in letter['MessageAttributes'].items()}
        assert said['ERROR_CODE'] == 'SDK_CLIENT_ERROR' and said['RETRY_ATTEMPTS'] == '0'
        assert said['TARGET_ARN'] == made['ApiDestinationArn'] and said['RULE_ARN'].endswith('rule/' + name)
        assert json.loads(letter['Body'])['detail'] == {'n': 1}
        assert events.deauthorize_connection(Name=name)['ConnectionState'] == 'DEAUTHORIZED'
        assert events.describe_api_destination(Name=name)['ApiDestinationState'] == 'INACTIVE'
        put(events, name, {'n': 2})
        letter, = receive(server, url, 1)
        assert letter['MessageAttributes']['ERROR_CODE']['StringValue'] == 'CONNECTION_FAILURE'
    events.delete_api_destination(Name=name)
    events.delete_connection(Name=name)
    assert refused(events.describe_connection, Name=name)[0] == 'ResourceNotFoundException'


def test_archive_and_replay_across_a_crash(fresh, until, name):
    server = fresh()
    events = server.client('events')
    url, arn = queue(server, name)
    bus = events.create_event_bus(Name=name)['EventBusArn']
    rule(events, name, {'Arn': arn}, bus=name)
    archive = events.create_archive(ArchiveName='a', EventSourceArn=bus, EventPattern=json.dumps({'source': [name]}))
    start = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0) - datetime.timedelta(hours=1)
    for number in range(30):
        put(events, name, {'n': number}, EventBusName=name, Time=start + datetime.timedelta(seconds=20 * number))
    assert len(receive(server, url, 30)) == 30
    until(lambda: events.describe_archive(ArchiveName='a')['EventCount'] == 30)
    [shown] = server.own('status')['archives']
    assert (shown['name'], shown['bus'], shown['events']) == ('a', name, 30) and shown['bytes'] > 0
    assert events.describe_rule(Name='Events-Archive-a', EventBusName=name)['ManagedBy'].startswith('prod.vhs.events')
    assert refused(events.delete_rule, Name='Events-Archive-a', EventBusName=name)[0] == 'ManagedRuleException'
    events.start_replay(ReplayName='r', EventSourceArn=archive['ArchiveArn'], EventStartTime=start,
                        EventEndTime=start + datetime.timedelta(minutes=5), Destination={'Arn': bus})
    server.kill()
    server.start()
    events = server.client('events')
    shown = until(lambda: (lambda r: r if r['State'] == 'COMPLETED' else None)(events.describe_replay(ReplayName='r')))
    assert shown['EventLastReplayedTime'] == start + datetime.timedelta(seconds=280)
    [replay] = server.own('status')['replays']
    assert (replay['name'], replay['archive'], replay['state']) == ('r', 'a', 'COMPLETED')
    found = set()

    def all_there():
        answer = server.client('sqs').receive_message(QueueUrl=url, MaxNumberOfMessages=10)
        for message in answer.get('Messages', []):
            event = json.loads(message['Body'])
            assert event['replay-name'] == 'r'
            found.add(event['detail']['n'])
        return found == set(range(15))

    until(all_there)
    assert refused(events.cancel_replay, ReplayName='r')[0] == 'IllegalStatusException'
    assert events.list_replays()['Replays'][0]['ReplayName'] == 'r'
    events.delete_archive(ArchiveName='a')
    assert events.list_archives()['Archives'] == []


def test_a_full_backlog_refuses_what_would_add_to_it_and_nothing_else(fresh, tmp_path, until, name):
    config = tmp_path / 'headwater.toml'
    config.write_text('[delivery]\nbacklog_bytes = 65536\n')
    server = fresh('--config', str(config))
    events, sns, sqs = server.client('events'), server.client('sns'), server.client('sqs')
    url, arn = queue(server, name)
    topic = sns.create_topic(Name=name)['TopicArn']
    up = []
    with endpoint(lambda _: (200, '') if up else (503, 'no')) as (address, seen):
        connection = events.create_connection(
            Name=name, AuthorizationType='API_KEY',
            AuthParameters={'ApiKeyAuthParameters': {'ApiKeyName': 'X-Key', 'ApiKeyValue': 'hush'}})
        made = events.create_api_destination(
            Name=name, ConnectionArn=connection['ConnectionArn'], HttpMethod='POST', InvocationEndpoint=address)
        rule(events, name, {'Arn': made['ApiDestinationArn']})
        entry = {'Source': name, 'DetailType': 'T', 'Detail': json.dumps({'text': 20000 * 'x'})}

        def fill():
            taken = 0
            while not events.put_events(Entries=[entry])['FailedEntryCount']:
                taken += 1
                assert taken <= 4
            return taken
        taken = fill()
        assert taken >= 3

        def full():
            answer = events.put_events(Entries=[entry])
            assert answer['FailedEntryCount'] == 1 and answer['Entries'][0]['ErrorCode'] == 'ThrottlingException'
            assert refused(sns.publish, TopicArn=topic, Message='m')[0] == 'ServiceUnavailable'
            backlog = server.own('status')['backlog']
            assert backlog['bytes'] >= backlog['limit_bytes'] == 65536
        full()
        sqs.send_message(QueueUrl=url, MessageBody='what waits for nobody has room')
        shown = subprocess.run([BINARY, 'status', '--endpoint', server.endpoint], capture_output=True, text=True, check=True)
        assert ' bytes of 65536\n' in shown.stdout
        server.kill()
        server.start()
        full()
        up.append(True)
        server.kill()
        server.start()
        until(lambda: server.own('status')['backlog']['bytes'] == 0)
        assert len({json.loads(request['body'])['id'] for request in seen}) == taken, 'what was taken arrived, and nothing else'
        sns.publish(TopicArn=topic, Message='m')
        # The calls that end a backlog are never refused.
        up.clear()
        fill()
        full()
        events.remove_targets(Rule=name, Ids=['1'])
        sqs.purge_queue(QueueUrl=url)
    with urllib.request.urlopen(server.endpoint + '/_headwater/metrics') as metrics:
        text = metrics.read().decode()
    assert 'headwater_backlog_limit_bytes 65536\n' in text and 'headwater_backlog_bytes ' in text
