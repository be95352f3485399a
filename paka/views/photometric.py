"""How a crop's colours are disturbed (DINO's recipe), batched, on any device.

What is random is drawn with the crops, in the loading process; here nothing is. An image's result
does not depend on the batch that it stands in, so runs resume and are shared out exactly.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from paka.config import ViewsConfig

# Row by row: brightness, contrast, saturation factor, hue in turns, grey (0 or 1), blur sigma.
PARAMETERS = 6
_LUMA = (0.299, 0.587, 0.114)
# Colour in one lightness and two chroma axes (YIQ), where a change of hue is a rotation.
_TO_YIQ = np.array([_LUMA, (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112)])
_FROM_YIQ = np.linalg.inv(_TO_YIQ)
# Of each cell of a change of hue, RGB to RGB: what stays, and what the cosine and the sine of its
# angle are multiplied by. Numbers, since a GPU's host would wait for a tensor of them to be copied.
_STAYS = ((1, 0, 0), (0, 0, 0), (0, 0, 0))
_COSINE = ((0, 0, 0), (0, 1, 0), (0, 0, 1))
_SINE = ((0, 0, 0), (0, 0, -1), (0, 1, 0))
_TURN = (_FROM_YIQ @ np.array((_STAYS, _COSINE, _SINE)) @ _TO_YIQ).reshape(3, 9).T.tolist()


def sample_photometric(rng: np.random.Generator, views: ViewsConfig) -> NDArray[np.float32]:
    """Draw one crop's parameters (6,); a neutral one leaves the crop as it is."""
    parameters = np.array([1, 1, 1, 0, 0, 0], dtype=np.float32)
    # Everything is drawn, whether used or not, so that one setting does not shift the others.
    jitter, grey, blur = rng.random(3)
    around = rng.uniform(-1, 1, 4)
    sigma = rng.uniform(*views.blur_sigma)
    if jitter < views.jitter:
        strength = (views.brightness, views.contrast, views.saturation, views.hue)
        parameters[:4] += around * strength
    parameters[4] = grey < views.grey
    parameters[5] = sigma if blur < views.blur else 0
    return parameters


def augment(images: Tensor, parameters: Tensor) -> Tensor:
    """Disturb brightness, contrast, saturation and hue, then grey, then blur, in this order.

    Args:
        images: (M, 3, H, W) float in [0, 1].
        parameters: (M, 6) as drawn by `sample_photometric`.

    Returns:
        (M, 3, H, W) float32 in [0, 1], also under autocast: a lower precision would show as noise.
    """
    with torch.autocast(images.device.type, enabled=False):
        return _augment(images.float(), parameters.float())


def _augment(images: Tensor, parameters: Tensor) -> Tensor:
    brightness, contrast, saturation, hue, grey, sigma = parameters.unbind(1)
    images = (images * brightness.view(-1, 1, 1, 1)).clamp_(0, 1)
    red, green, blue = images.mean((2, 3)).unbind(1)
    mean = (_LUMA[0] * red + _LUMA[1] * green + _LUMA[2] * blue).view(-1, 1, 1, 1)
    images = torch.lerp(mean, images, contrast.view(-1, 1, 1, 1)).clamp_(0, 1)
    matrix = _colour_matrix(saturation * (1 - grey), hue)
    # Products and sums spelt out: a matrix product's rounding may depend on the batch.
    images = (matrix[:, :, :, None, None] * images[:, None]).sum(2).clamp_(0, 1)
    return _blur(images, sigma)


def _colour_matrix(saturation: Tensor, hue: Tensor) -> Tensor:
    """RGB to RGB (M, 3, 3): chroma turned by `hue` turns and scaled by `saturation`."""
    angle = 2 * math.pi * hue
    cos, sin = saturation * angle.cos(), saturation * angle.sin()
    cells = [stays + of_cos * cos + of_sin * sin for stays, of_cos, of_sin in _TURN]
    return torch.stack(cells, -1).unflatten(1, (3, 3))


def _blur(images: Tensor, sigma: Tensor) -> Tensor:
    """Separable Gaussian blur, each image by its own sigma in pixels; 0 leaves it as it is."""
    height, width = images.shape[2:]
    images = torch.matmul(_blur_matrix(height, sigma)[:, None], images)
    return torch.matmul(images, _blur_matrix(width, sigma)[:, None].mT)


def _blur_matrix(size: int, sigma: Tensor) -> Tensor:
    """Rows of Gaussian weights (M, size, size) that sum to one, also at the border."""
    place = torch.arange(size, device=sigma.device, dtype=torch.float32)
    distance = (place[:, None] - place[None]).square()
    weights = (-distance / (2 * sigma.clamp_min(1e-3).square())[:, None, None]).exp()
    return weights / weights.sum(2, keepdim=True)
