"""Nobody gets in without a good signature."""

import urllib.error
import urllib.request

import pytest
from botocore.exceptions import ClientError


def code(call):
    with pytest.raises(ClientError) as refused:
        call()
    return refused.value.response['Error']['Code']


def test_wrong_secret(server):
    assert code(server.client('kinesis', secret='wrong').list_streams) == 'InvalidSignatureException'
    assert code(server.client('sts', secret='wrong').get_caller_identity) == 'SignatureDoesNotMatch'


def test_unknown_key(server):
    assert code(server.client('kinesis', key='AKIANOBODY0000000000').list_streams) == 'UnrecognizedClientException'
    assert code(server.client('iam', key='AKIANOBODY0000000000').list_users) == 'InvalidClientTokenId'


def test_no_signature(server):
    request = urllib.request.Request(server.endpoint + '/', data=b'{}', headers={
        'X-Amz-Target': 'Kinesis_20131202.ListStreams', 'Content-Type': 'application/x-amz-json-1.1'})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)
    assert b'MissingAuthenticationTokenException' in refused.value.read()


def test_presigned(server):
    sts = server.client('sts')
    url = sts.generate_presigned_url('get_caller_identity', ExpiresIn=60, HttpMethod='GET')
    with urllib.request.urlopen(url) as answer:
        assert b'arn:aws:iam::000000000000:root' in answer.read()
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(url.replace('X-Amz-Signature=', 'X-Amz-Signature=0'))


def test_sessions(server, name):
    iam = server.client('iam')
    trust = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}'
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)['Role']['Arn']
    assert code(lambda: server.client('sts').assume_role(RoleArn=role, RoleSessionName='me')) == 'AccessDenied', (
        'roles may not be assumed by root accounts')
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)['AccessKey']
    user = server.client('sts', key=key['AccessKeyId'], secret=key['SecretAccessKey'])
    session = user.assume_role(RoleArn=role, RoleSessionName='me')['Credentials']
    keys = {'key': session['AccessKeyId'], 'secret': session['SecretAccessKey']}
    who = server.client('sts', token=session['SessionToken'], **keys).get_caller_identity()
    assert who['Arn'] == 'arn:aws:sts::000000000000:assumed-role/{}/me'.format(name)
    assert code(server.client('sts', token='nonsense', **keys).get_caller_identity) == 'InvalidClientTokenId'
    assert code(server.client('sts', **keys).get_caller_identity) == 'InvalidClientTokenId'


def test_a_user_signs_with_keys_of_their_own(server, name):
    iam = server.client('iam')
    user = iam.create_user(UserName=name)['User']
    key = iam.create_access_key(UserName=name)['AccessKey']
    own = server.client('sts', key=key['AccessKeyId'], secret=key['SecretAccessKey'])
    assert own.get_caller_identity()['Arn'] == user['Arn']
    iam.update_access_key(UserName=name, AccessKeyId=key['AccessKeyId'], Status='Inactive')
    assert code(own.get_caller_identity) == 'InvalidClientTokenId'
