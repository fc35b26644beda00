"""Run a model's towers on a CPU without torch: exported once, then kept and run by OpenVINO.

With it, `twinlens search` starts in a second, and `twinlens index` uses a CPU's bfloat16 units. Its
vectors agree with torch's to a cosine of 0.999. Training, large rerankers and GPUs use
torch, and so does a model whose towers cannot be exported.
"""
