import base64
import json

import boto3

ec2_resource = boto3.resource('ec2')
sns_client = boto3.client('sns')


def handler(event, context):
    for record in event['Records']:
        # Kinesis data arrives in base64
        payload = json.loads(base64.b64decode(record['kinesis']['data']))
        user_name = payload['detail']['userIdentity']['userName']
        instance_id = payload['detail']['requestParameters']['instancesSet']['items'][0]['instanceId']
        print('{} terminated {}'.format(user_name, instance_id))
        for tag in ec2_resource.Instance(instance_id).tags:
            if tag['Key'] == 'Type' and tag['Value'] == 'Production':
                print('a production instance was terminated, notifying')
                sns_client.publish(
                    PhoneNumber='+15552562562',
                    Message='User {} has terminated production instance {}'.format(user_name, instance_id))
