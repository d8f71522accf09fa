"""Networks made of deformable butterflies (All-DeBut): chains of factors, their search, projection and layers."""

from morpho.butterfly.chain import Chain as Chain
from morpho.butterfly.chain import low_rank as low_rank
from morpho.butterfly.chain import monarch as monarch
from morpho.butterfly.factor import Factor as Factor

__all__ = ["Chain", "Factor", "low_rank", "monarch"]
