"""Upscale a stream of raw frames, such as ffmpeg's: rgb24 in on stdin, rgb24 out on stdout, four times as large.

    ffmpeg -i small.mp4 -f rawvideo -pix_fmt rgb24 - | python examples/video_frames.py 480 270 \
        | ffmpeg -f rawvideo -pix_fmt rgb24 -s 1920x1080 -r 25 -i - large.mp4
"""

import sys

import numpy as np

import morpho

width, height = int(sys.argv[1]), int(sys.argv[2])
upscaler = morpho.Upscaler.load("hklut-s", scale=4)
while len(data := sys.stdin.buffer.read(width * height * 3)) == width * height * 3:
    frame = np.frombuffer(data, np.uint8).reshape(height, width, 3)
    sys.stdout.buffer.write(upscaler(frame).data)
