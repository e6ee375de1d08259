"""TensorRT for RTX: builds an engine of a core. That takes no GPU; to run it does."""

from asked import main


def write(graph, out, asked, folder):
    import tensorrt_rtx as trt

    logger = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(logger)
    network = builder.create_network(0)
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(graph):
        return {"refused": "; ".join(parser.get_error(i).desc() for i in range(parser.num_errors))}
    config = builder.create_builder_config()
    config.clear_flag(trt.BuilderFlag.TF32)
    kinds = [getattr(trt.ComputeCapability, name) for name in asked["gpus"]]
    config.num_compute_capabilities = len(kinds)
    for i, kind in enumerate(kinds):
        config.set_compute_capability(kind, i)
    profile = builder.create_optimization_profile()
    profile.set_shape("encoded", *((rows, asked["width"]) for rows in (1, 64, asked["most"])))
    config.add_optimization_profile(profile)
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        return {"refused": "TensorRT built no engine of it"}
    (out / "core.engine").write_bytes(bytes(engine))
    return {"refused": ""}


def load(out, asked):
    raise SystemExit("an engine runs on a GPU of NVIDIA's")


if __name__ == "__main__":
    main(write, load)
