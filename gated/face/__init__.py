"""From a frame to an observation (motion, detect, track, quality, align, PAD, embed), in the vision process.

Public: colour, download, frame_bench, framing, licences, log_odds, manifest, model_entry, model_files, model_sources,
onnx, own_models, pass_scan, pipeline, prove, quality, upright, vision_link, vision_messages, vision_start, worker.
"""
