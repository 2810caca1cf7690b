"""What a broker's configuration comes to under the dynamic settings of an image."""

from __future__ import annotations

from mainstem.core.metadata.image import ConfigResource, MetadataImage
from mainstem.model.configs.broker import BrokerConfig

CLUSTER_DEFAULTS = ConfigResource("broker", "")


def effective_config(image: MetadataImage, static: BrokerConfig) -> BrokerConfig:
    """`static` is what the broker was started with; its own dynamic settings win over those of the cluster."""
    own = ConfigResource("broker", str(static.node_id))
    return static.with_dynamic(image.configs_of(own), image.configs_of(CLUSTER_DEFAULTS))
