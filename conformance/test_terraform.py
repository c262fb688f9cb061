"""Terraform makes the pipeline, sees no drift, and takes it away again.

It needs the program `terraform` and its AWS provider in a folder that mirrors the registry; where either is missing the test
is skipped, since neither can be installed from a package index.
"""

import glob
import os
import pathlib
import shutil
import subprocess

import pytest

PLACES = ['~/.terraform.d/*', '/opt/*', '/usr/share/*', '/usr/local/share/*', '/usr/local/share/terraform/*']
PIPELINE = '''
terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}
variable "endpoint" { type = string }
provider "aws" {
  region                      = "us-east-1"
  access_key                  = "test"
  secret_key                  = "test"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = false
  endpoints {
    kinesis     = var.endpoint
    sns         = var.endpoint
    sqs         = var.endpoint
    eventbridge = var.endpoint
    iam         = var.endpoint
    sts         = var.endpoint
  }
}
resource "aws_kinesis_stream" "events" {
  name             = "tf-events"
  shard_count      = 2
  retention_period = 48
  tags             = { team = "data" }
}
resource "aws_kinesis_stream_consumer" "reader" {
  name       = "reader"
  stream_arn = aws_kinesis_stream.events.arn
}
resource "aws_sns_topic" "alerts" {
  name = "tf-alerts"
}
resource "aws_sqs_queue" "dead" {
  name = "tf-dead"
}
resource "aws_sqs_queue" "work" {
  name           = "tf-work"
  redrive_policy = jsonencode({ deadLetterTargetArn = aws_sqs_queue.dead.arn, maxReceiveCount = 3 })
}
resource "aws_sns_topic_subscription" "to_work" {
  topic_arn = aws_sns_topic.alerts.arn
  protocol  = "sqs"
  endpoint  = aws_sqs_queue.work.arn
}
resource "aws_cloudwatch_event_bus" "audit" {
  name = "tf-audit"
}
resource "aws_cloudwatch_event_rule" "terminated" {
  name           = "tf-terminated"
  event_bus_name = aws_cloudwatch_event_bus.audit.name
  event_pattern  = jsonencode({ source = ["aws.ec2"], detail = { eventName = ["TerminateInstances"] } })
}
resource "aws_iam_role" "rule" {
  name = "tf-rule"
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Principal = { Service = "events.amazonaws.com" }, Action = "sts:AssumeRole" }]
  })
}
resource "aws_cloudwatch_event_target" "stream" {
  rule           = aws_cloudwatch_event_rule.terminated.name
  event_bus_name = aws_cloudwatch_event_bus.audit.name
  arn            = aws_kinesis_stream.events.arn
  role_arn       = aws_iam_role.rule.arn
  kinesis_target { partition_key_path = "$.detail.eventID" }
}
resource "aws_cloudwatch_event_target" "topic" {
  rule           = aws_cloudwatch_event_rule.terminated.name
  event_bus_name = aws_cloudwatch_event_bus.audit.name
  arn            = aws_sns_topic.alerts.arn
}
'''


def mirror():
    homes = [found for place in PLACES for found in glob.glob(os.path.expanduser(place + '/registry.terraform.io/hashicorp/aws'))]
    return pathlib.Path(homes[0]).parents[2] if homes else None


@pytest.mark.skipif(shutil.which('terraform') is None, reason='terraform is not on the PATH')
@pytest.mark.skipif(mirror() is None, reason='no mirror of the AWS provider on this machine')
def test_terraform_makes_sees_no_drift_and_destroys(fresh, tmp_path):
    server = fresh()
    (tmp_path / 'main.tf').write_text(PIPELINE)
    config = tmp_path / 'terraform.rc'
    config.write_text('provider_installation {{\n  filesystem_mirror {{ path = "{}" }}\n}}\n'.format(mirror()))

    def terraform(*args, want=0):
        done = subprocess.run(
            ['terraform', *args, '-no-color'], cwd=tmp_path, capture_output=True, text=True, timeout=600,
            env={'PATH': os.environ['PATH'] + ':/usr/local/bin:/usr/bin:/bin', 'HOME': str(tmp_path),
                 'TF_CLI_CONFIG_FILE': str(config), 'TF_VAR_endpoint': server.endpoint, 'CHECKPOINT_DISABLE': '1'})
        assert done.returncode == want, done.stdout + done.stderr
        return done.stdout

    terraform('init', '-input=false')
    terraform('apply', '-auto-approve', '-input=false')
    kinesis, events = server.client('kinesis'), server.client('events')
    made = kinesis.describe_stream_summary(StreamName='tf-events')['StreamDescriptionSummary']
    assert (made['OpenShardCount'], made['RetentionPeriodHours']) == (2, 48)
    assert len(events.list_targets_by_rule(Rule='tf-terminated', EventBusName='tf-audit')['Targets']) == 2
    # 0: nothing to change; 2: it would change something.
    terraform('plan', '-detailed-exitcode', '-input=false')
    terraform('destroy', '-auto-approve', '-input=false')
    assert kinesis.list_streams()['StreamNames'] == []
    assert server.client('sns').list_topics()['Topics'] == []
    assert 'QueueUrls' not in server.client('sqs').list_queues()
