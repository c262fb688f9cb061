"""Writes golden.json: requests as botocore makes and signs them, with the parameters that went in.

Run with botocore installed: python3 golden.py > golden.json
"""

import base64
import datetime
import json

import botocore.session
from botocore.awsrequest import AWSResponse
from botocore.config import Config

KEY, SECRET, TOKEN = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "a/session+token=="
WHEN = datetime.datetime(2023, 11, 14, 22, 13, 20, 250000, tzinfo=datetime.timezone.utc)
ARN = "arn:aws:kinesis:us-east-1:123456789012:stream/s"

CASES = [
    ("kinesis", "PutRecord", {"StreamName": "s", "Data": b"\x00\xffhello", "PartitionKey": "ключ \"q\" \n"}),
    ("kinesis", "PutRecords", {"StreamName": "s", "Records": [
        {"Data": b"a", "PartitionKey": "p"}, {"Data": b"", "PartitionKey": "q", "ExplicitHashKey": "0"}]}),
    ("kinesis", "GetShardIterator", {"StreamName": "s", "ShardId": "shardId-000000000000",
                                     "ShardIteratorType": "AT_TIMESTAMP", "Timestamp": WHEN}),
    ("kinesis", "CreateStream", {"StreamName": "s", "ShardCount": 3, "Tags": {"a": "b"}}),
    ("events", "PutEvents", {"Entries": [{"Time": WHEN, "Source": "x", "Resources": [ARN], "DetailType": "t",
                                          "Detail": "{\"a\": [1, \"\\u00e9\"]}"}]}),
    ("events", "PutTargets", {"Rule": "r", "Targets": [{"Id": "1", "Arn": ARN, "InputTransformer": {
        "InputPathsMap": {"x": "$.detail.x"}, "InputTemplate": "\"<x>\""},
        "RetryPolicy": {"MaximumRetryAttempts": 0}}]}),
    ("cloudtrail", "LookupEvents", {"StartTime": WHEN, "MaxResults": 5,
                                    "LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": "x"}]}),
    ("sqs", "SendMessage", {"QueueUrl": "http://h/1/q", "MessageBody": "b<&>", "DelaySeconds": 1, "MessageAttributes": {
        "m": {"StringValue": "v", "DataType": "String"}, "n": {"BinaryValue": b"\x01", "DataType": "Binary"}}}),
    ("sns", "Publish", {"TopicArn": "arn:aws:sns:us-east-1:123456789012:t", "Message": "m & é=+ \n", "Subject": "",
                        "MessageAttributes": {"a.b": {"DataType": "Binary", "BinaryValue": b"\xff"},
                                              "c": {"DataType": "String", "StringValue": "x"}}}),
    ("sns", "CreateTopic", {"Name": "t", "Attributes": {"FifoTopic": "true"}, "Tags": [{"Key": "k", "Value": "v"}]}),
    ("iam", "CreateRole", {"RoleName": "r", "AssumeRolePolicyDocument": "{}", "MaxSessionDuration": 3600,
                           "Tags": [{"Key": "k", "Value": "v"}]}),
    ("sts", "AssumeRole", {"RoleArn": "arn:aws:iam::123456789012:role/r", "RoleSessionName": "session",
                           "DurationSeconds": 900}),
    ("sts", "GetCallerIdentity", {}),
    ("ec2", "RunInstances", {"ImageId": "ami-1", "MinCount": 1, "MaxCount": 2, "InstanceType": "t3.micro",
                             "TagSpecifications": [{"ResourceType": "instance",
                                                    "Tags": [{"Key": "Type", "Value": "Production"}]}]}),
    ("ec2", "DescribeInstances", {"InstanceIds": ["i-1", "i-2"], "DryRun": False,
                                  "Filters": [{"Name": "tag:Type", "Values": ["a", "b"]}]}),
    ("ec2", "CreateTags", {"Resources": ["i-1"], "Tags": [{"Key": "k", "Value": ""}]}),
    ("lambda", "CreateFunction", {"FunctionName": "f", "Role": "arn:aws:iam::123456789012:role/r",
                                  "Runtime": "python3.12", "Handler": "a.b", "Code": {"ZipFile": b"PK\x05\x06"},
                                  "Environment": {"Variables": {"AB": "c"}}, "Timeout": 3}),
    ("lambda", "Invoke", {"FunctionName": "arn:aws:lambda:us-east-1:123456789012:function:f:PROD",
                          "InvocationType": "Event", "Payload": b"{\"x\": 1}", "Qualifier": "a$b"}),
    ("lambda", "ListEventSourceMappings", {"EventSourceArn": ARN, "MaxItems": 7}),
    ("lambda", "DeleteFunction", {"FunctionName": "f"}),
    ("lambda", "ListFunctions", {}),
]


def plain(value):
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime.datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond // 1000:03d}Z"
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def text(value):
    return value.decode() if isinstance(value, bytes) else str(value)


def main():
    session = botocore.session.Session()
    session.set_credentials(KEY, SECRET, TOKEN)
    cases = []
    for service, operation, parameters in CASES:
        config = Config(retries={"max_attempts": 0})
        client = session.create_client(service, "us-east-1", endpoint_url="http://127.0.0.1:4566", config=config)
        sent = []

        def keep(request, **_):
            sent.append(request)
            return AWSResponse(request.url, 200, {}, None)

        client.meta.events.register("before-send", keep)
        try:
            getattr(client, botocore.xform_name(operation))(**parameters)
        except Exception:
            if not sent:
                raise  # otherwise it is only that there is no answer to parse
        request = sent[0]
        body = request.body or b""
        cases.append({
            "service": service,
            "operation": operation,
            "method": request.method,
            "url": request.url,
            "headers": [[name, text(value)] for name, value in request.headers.items()
                        if name != "User-Agent"],
            "body": base64.b64encode(body.encode() if isinstance(body, str) else body).decode(),
            "parameters": plain(parameters),
        })
    sts = session.create_client("sts", "us-east-1", endpoint_url="http://127.0.0.1:4566")
    url = sts.generate_presigned_url("get_caller_identity", ExpiresIn=60, HttpMethod="GET")
    cases.append({"service": "sts", "operation": "GetCallerIdentity", "method": "GET", "url": url, "headers": [],
                  "body": "", "parameters": {}})
    lines = (json.dumps(case, ensure_ascii=False) for case in cases)
    print("[\n" + ",\n".join(lines) + "\n]")


main()
