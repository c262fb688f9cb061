"""Runs a function on Lambda's runtime interface client for Python."""

import os
import sys
from importlib.machinery import PathFinder


def endpoint_for(service):
    """Where a service is, by the variables that newer SDKs read themselves."""
    own = 'AWS_ENDPOINT_URL_' + service.upper().replace('-', '_').replace(' ', '_')
    return os.environ.get(own) or os.environ.get('AWS_ENDPOINT_URL')


class OldSdk:
    """Points botocore before 1.31 (boto3 before 1.28), which knows no AWS_ENDPOINT_URL, at the endpoint: a package may
    bring its own."""

    @classmethod
    def find_spec(cls, name, path, target=None):
        if name != 'botocore.client':
            return None
        sys.meta_path.remove(cls)
        spec = PathFinder.find_spec(name, path, target)
        if spec is None:
            return None
        execute = spec.loader.exec_module

        def execute_and_point(module):
            execute(module)
            point(module)

        spec.loader.exec_module = execute_and_point
        return spec


def point(client):
    import botocore

    if tuple(int(part) for part in botocore.__version__.split('.')[:2]) >= (1, 31):
        return
    creator = client.ClientCreator
    create = creator.create_client

    def create_client(self, service_name, *args, **kwargs):
        # The endpoint is the fourth: service, region, is_secure, endpoint_url.
        if len(args) < 3 and kwargs.get('endpoint_url') is None:
            kwargs['endpoint_url'] = endpoint_for(service_name)
        return create(self, service_name, *args, **kwargs)

    creator.create_client = create_client


def main(handler):
    # As on Lambda, the function's own modules come first; this file's directory holds none for it.
    sys.path[0] = os.environ['LAMBDA_TASK_ROOT']
    if os.environ.get('AWS_ENDPOINT_URL'):
        sys.meta_path.insert(0, OldSdk)
    # The client's own main would ask for each invocation from a thread made for that, so that signals are heard in between.
    from awslambdaric import bootstrap
    from awslambdaric.lambda_runtime_client import LambdaRuntimeClient

    bootstrap.run(handler, LambdaRuntimeClient(os.environ['AWS_LAMBDA_RUNTIME_API']))


if __name__ == '__main__':
    main(sys.argv[1])
