"""Fixtures for people who test programs that use Kafka."""
