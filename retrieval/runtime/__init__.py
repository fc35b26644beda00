"""A model's towers on a CPU without torch: made from the model once, then kept and run by OpenVINO.

`twinlens search` starts in a second with it, and `twinlens index` uses a CPU's bfloat16 units.
Vectors are those of torch to a cosine of 0.999. Training, learned names, rerankers and GPUs stay
with torch, and so does a model whose towers cannot be brought here.
"""
