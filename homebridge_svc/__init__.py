"""homebridge_svc: a XiaoAi speaker drives an XGIMI projector and a hot-water recirculation pump."""

__version__ = "0.1.0"
