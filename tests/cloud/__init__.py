"""A simulated AWS for tests and benchmarks: accounts in memory, served by an endpoint on 127.0.0.1.

One file an AWS service (`ecr`, `ssm`, …; for ECS one a concern, `ecs_*`) holds its operations, each with the limits
and errors of the real API and their source. `accounts` holds what all share, `endpoint` serves it over HTTP (`wire`) as
slowly and as throttled (`limits`) as told, and `world` fills it with tenants that run something.
"""
