#!/usr/bin/env python3
"""What makes no sense is refused: the right exit code, one line that names the option or file at fault, and nothing left behind.

Every case runs in an empty folder of its own, in which `in` leads to the inputs. A line of a table is: the exit code, what stderr's only
line must name (several, separated by |), and the command line.
"""

import base64
import concurrent.futures
import fcntl
import gzip
import json
import math
import os
import shlex
import shutil
import sys
import unittest
import zipfile

sys.dont_write_bytecode = True  # no __pycache__ in the source tree
import cli_support as cli  # noqa: E402

FIT = "fit in/images.idx --out out.safetensors "
FIT6 = "fit in/data6.npy --out out.safetensors "
FLOW = "flow in/points6.npy --stats in/stats6.safetensors --out out.npy "
DENOISE = "denoise in/points6.npy --out out.npy "
SAMPLE = "sample --stats in/stats.safetensors --outdir run --seeds 0-3 "
FIT_NET = "fit --from_network in/net.safetensors --out out.safetensors "
SAMPLE_V3 = "sample --network in/net.safetensors --outdir run --seeds 0-3 --solver dpm_v3 --v3_stats in/v3 "
SAMPLE_BARE_V3 = SAMPLE_V3.replace("in/v3", "in/bare_v3")
SAMPLE_NET = "sample --network in/net.safetensors --outdir run --seeds 0-3 "
TRAIN = "train --data in/images.idx --out net.safetensors --images 64 " + " ".join(cli.TINY) + " "
EVALUATE = "evaluate --samples in/run --reference in/images.idx "

USAGE = [
    # verbs and the options that all of them have
    (2, "fitt", "fitt in/images.idx"),
    (2, "subcommand", ""),
    (2, "--ranks", FIT + "--ranks 3"),
    (2, "--out", "fit in/images.idx"),
    (2, "--threads", FIT + "--threads 0"),
    (2, "gpu", SAMPLE_NET + "--device gpu"),
    # fit
    (2, "--rank", FIT6 + "--rank 0"),
    (2, "--rank", FIT6 + "--rank 7"),
    (2, "--rank", FIT6 + "--rank 2.5"),
    (2, "--energy", FIT6 + "--energy 0"),
    (2, "--energy", FIT6 + "--energy 1.01"),
    (2, "--energy", FIT6 + "--energy nan"),
    (2, "--rank|--energy", FIT6 + "--rank 2 --energy 0.5"),
    (2, "--method", FIT6 + "--method fast"),
    (2, "--method", FIT6 + "--method dense --memory 1e-8"),
    (2, "--rank", FIT6 + "--method randomised"),
    (2, "--rank", FIT6 + "--memory 1e-8"),  # too little for the covariance, and no rank
    (2, "--memory", FIT6 + "--rank 2 --memory 1e-8"),
    (2, "--memory", FIT6 + "--memory 0"),
    (2, "--tolerance", FIT6 + "--rank 2 --tolerance nan"),
    (2, "--max_passes", FIT6 + "--rank 2 --max_passes 1"),
    (2, "--tail|median|mean|zero", FIT6 + "--tail median"),
    (2, "--as|blue|grey|rgb", FIT + "--as blue"),
    (2, "--as|in/data6.npy|floats", FIT6 + "--as grey"),
    (2, "data|--from_network", "fit --out out.safetensors"),
    # fit from a network
    (2, "--out|--dpm_v3|--grid_file", "fit --from_network in/net.safetensors"),
    (2, "--from_network|in/images.idx", FIT_NET + "in/images.idx"),
    (2, "--from_network|--components", FIT_NET + "--components 2"),
    (2, "--from_network|--energy", FIT_NET + "--energy 0.5"),
    (2, "--rank|64|65", FIT_NET + "--rank 65"),
    (2, "--sigma", FIT_NET + "--sigma 0"),
    (2, "--sigma|80|90", FIT_NET + "--sigma 90"),
    (2, "--from_network|--max_passes", FIT_NET + "--max_passes 5"),
    (2, "--from_network|--tolerance", FIT_NET + "--tolerance 0.5"),
    (2, "--from_network|--max_iterations", FIT_NET + "--max_iterations 5"),
    (2, "--rank|--out", "fit --from_network in/net.safetensors --dpm_v3 v3 --rank 5"),
    (2, "--v3_cells|--dpm_v3", FIT_NET + "--v3_cells 5"),
    (2, "--grid_steps|--grid_file", FIT_NET + "--grid_steps 5"),
    (2, "--points|--from_network", FIT6 + "--points 4"),
    (2, "--points|--out", "fit --from_network in/net.safetensors --grid_file grids.json --points 4"),
    (3, "in/stats.safetensors|folder", "fit --from_network in/net.safetensors --dpm_v3 in/stats.safetensors"),
    (2, "--passes", FIT_NET + "--passes 1"),
    (2, "--points|3", FIT_NET + "--points 3"),
    (2, "--dpm_v3|--from_network", FIT6 + "--dpm_v3 v3"),
    (2, "--grid_file|--from_network", FIT6 + "--grid_file grids.json"),
    (2, "--v3_points", "fit --from_network in/net.safetensors --dpm_v3 v3 --v3_points 1"),
    (2, "in/data6.npy|1,8,8|1,1,6", "fit in/data6.npy --from_network in/net.safetensors --dpm_v3 v3 --v3_points 4 --v3_cells 2"),
    (2, "--grid_steps|64|65", "fit --from_network in/net.safetensors --grid_file grids.json --grid_steps 5,65"),
    # flow
    (2, "in/points5.npy|6|5", "flow in/points5.npy --stats in/stats6.safetensors --out out.npy --from 2 --to 1"),
    (2, "--from", FLOW + "--from 0 --to 1"),
    (2, "--to", FLOW + "--from 2 --to -1"),
    (2, "--seeds", FLOW + "--from 2 --to 1 --stochastic"),
    (2, "--seeds|5|2", FLOW + "--from 2 --to 1 --stochastic --seeds 0-1"),
    # denoise
    (2, "--sigma", DENOISE + "--stats in/stats6.safetensors --sigma 0"),
    (2, "--sigma", DENOISE + "--stats in/stats6.safetensors --sigma -2"),
    (2, "sigma", DENOISE + "--stats in/stats6.safetensors --sigma inf"),
    (2, "--stats|--network", DENOISE + "--sigma 1"),
    (2, "--as|noise|score", DENOISE + "--sigma 1 --stats in/stats6.safetensors --as noise"),
    (2, "in/points6.npy|64", DENOISE + "--sigma 1 --network in/net.safetensors"),
    (2, "sigma|81", "denoise in/points64.npy --out out.npy --network in/net.safetensors --sigma 81"),
    # sample
    (2, "--network|--stats", SAMPLE + "--network in/net.safetensors"),
    (2, "--solver|rk4|heun|euler|ddim|unipc_bh1", SAMPLE + "--solver rk4"),
    (2, "--schedule|karras|ddpm_trailing|wavy", SAMPLE + "--schedule wavy"),
    (2, "--steps|at most|DDPM|2000", SAMPLE + "--schedule ddpm_leading --steps 2000"),
    (2, "--order|1 to 2|dpmpp_2m|3", SAMPLE + "--solver dpmpp_2m --order 3"),
    (2, "--order|multistep|heun", SAMPLE + "--order 2"),
    (2, "--tolerance|at least", SAMPLE + "--solver rk45 --tolerance 0"),
    (2, "--tolerance|rk45|heun", SAMPLE + "--tolerance 0.1"),
    (2, "--lower_order_final|multistep|euler", SAMPLE + "--solver euler --lower_order_final"),
    (2, "--save_path|rk45", SAMPLE + "--solver rk45 --save_path 1"),
    (3, "nowhere", SAMPLE + "--grid nowhere/grid.png"),
    (2, "--smooth_draws|--smooth", SAMPLE + "--smooth_draws 4"),
    (2, "--seeds|5-3", "sample --stats in/stats.safetensors --outdir run --seeds 5-3"),
    (2, "--seeds|a", "sample --stats in/stats.safetensors --outdir run --seeds a"),
    (2, "--seeds|1,,2", "sample --stats in/stats.safetensors --outdir run --seeds 1,,2"),
    (2, "--seeds|0-5,3", "sample --stats in/stats.safetensors --outdir run --seeds 0-5,3"),
    (2, "--batch", SAMPLE + "--batch 0"),
    (2, "--steps", SAMPLE + "--steps 1 --denoise_to_zero off"),
    (2, "--sigmas", SAMPLE + "--sigmas 80,10,20,0"),
    (2, "--sigmas", SAMPLE + "--sigmas 80,1,-1"),
    (2, "--sigmas", SAMPLE + "--sigmas 80"),
    (2, "sigma_min|sigma_max", SAMPLE + "--sigma_min 3 --sigma_max 2"),
    (2, "--sigma_max|80|in/net.safetensors", SAMPLE_NET + "--sigma_max 100"),
    (2, "--teleport|90", SAMPLE + "--teleport 90 --teleport_stats in/stats.safetensors"),
    (2, "--teleport|high", SAMPLE + "--teleport high --teleport_stats in/stats.safetensors"),
    (2, "--teleport_stats", SAMPLE + "--teleport 20"),
    (2, "--teleport_stats|--residual", SAMPLE + "--solver dpmpp_2m --residual 1"),
    (2, "--residual|-1", SAMPLE + "--solver dpmpp_2m --residual -1 --teleport_stats in/stats.safetensors"),
    (2, "--residual|dpmpp_2m|heun", SAMPLE + "--residual 1 --teleport_stats in/stats.safetensors"),
    (2, "--teleport_mode|head|tail|respaced", SAMPLE + "--teleport 20 --teleport_mode head --teleport_stats in/stats.safetensors"),
    (2, "--teleport_mode|--sigmas", SAMPLE + "--sigmas 80,9,1,0 --teleport 9 --teleport_mode respaced --teleport_stats in/stats.safetensors"),
    (2, "--teleport_stats|in/net.safetensors|1,8,8|1,1,6", SAMPLE_NET + "--teleport 20 --teleport_stats in/stats6.safetensors"),
    (2, "--npz", "sample --stats in/stats6.safetensors --outdir run"),
    (2, "--sigmas|--steps", SAMPLE + "--sigmas 80,1,0 --steps 18"),
    (2, "--sigmas|--rho", SAMPLE + "--sigmas 80,1,0 --rho 7"),
    (2, "--sigmas|--sigma_min", SAMPLE + "--sigmas 80,1,0 --sigma_min 0.002"),
    (2, "--sigmas|--sigma_max", SAMPLE + "--sigmas 80,1,0 --sigma_max 80"),
    (2, "--sigmas|--schedule", SAMPLE + "--sigmas 80,1,0 --schedule karras"),
    (2, "--sigmas|--denoise_to_zero", SAMPLE + "--sigmas 80,1 --denoise_to_zero on"),
    (2, "--grid_file|--denoise_to_zero", SAMPLE_NET + "--schedule optimised --grid_file in/grids.json --denoise_to_zero off --steps 3"),
    (2, "--residual|17.5278|70.5", SAMPLE + "--solver dpmpp_2m --residual 70.5 --steps 5 --teleport_stats in/stats.safetensors"),
    (2, "--sigmas|descending|1 after 1", SAMPLE + "--sigmas 80,1,1,0"),
    (2, "--sigmas|0.002|in/net.safetensors|0.001", SAMPLE_NET + "--sigmas 80,1,0.001,0"),
    (2, "--sigmas|80|in/net.safetensors|90", SAMPLE_NET + "--sigmas 90,1,0"),
    (2, "--teleport_stats|--teleport|--residual", SAMPLE + "--teleport_stats in/stats.safetensors"),
    (2, "--teleport_mode|head|replace", SAMPLE + "--teleport_mode head"),
    (2, "--teleport_mode|--teleport", SAMPLE + "--teleport_mode tail"),
    (2, "--rho|karras|log", SAMPLE + "--schedule log --rho 5"),
    (2, "--teleport|0.001", SAMPLE + "--teleport 0.001 --teleport_mode replace --teleport_stats in/stats.safetensors"),
    (2, "--class|in/stats.safetensors|--per_class", SAMPLE_NET + "--teleport 20 --teleport_stats in/stats.safetensors --class 1"),
    (2, "--class", SAMPLE_NET + "--class 1"),
    (2, "--precision|fp32|bf16|fp16", SAMPLE_NET + "--precision fp16"),
    (2, "--precision|--network", SAMPLE + "--precision bf16"),
    (2, "--init_sigma|--init", SAMPLE + "--init in/images.idx"),
    (2, "--init_sigma|--init", SAMPLE + "--init_sigma 3"),
    (2, "--init_sigma", SAMPLE + "--init in/images.idx --init_sigma -1"),
    (2, "--init_sigma|--sigma_max", SAMPLE + "--init in/images.idx --init_sigma 3 --sigma_max 3"),
    (2, "--init_sigma|--sigmas", SAMPLE + "--init in/images.idx --init_sigma 3 --sigmas 3,1,0"),
    (2, "--init_sigma|80|in/net.safetensors", SAMPLE_NET + "--init in/images.idx --init_sigma 100"),
    (2, "--grid_file|--rho", SAMPLE_NET + "--schedule optimised --grid_file in/text.txt --rho 5"),
    (2, "--init_sigma|--grid_file", SAMPLE_NET + "--schedule optimised --grid_file in/text.txt --init in/images.idx --init_sigma 3"),
    (2, "--init|1,8,8|1,1,6", SAMPLE + "--init in/data6.npy --init_sigma 3"),
    (2, "--S_churn|-1", SAMPLE + "--S_churn -1"),
    (2, "--S_churn|heun|euler", SAMPLE + "--solver euler --S_churn 1"),
    (2, "--S_min|--S_churn", SAMPLE + "--S_min 1"),
    (2, "--S_min|--S_max", SAMPLE + "--S_churn 1 --S_min 2 --S_max 1"),
    (2, "--save_path|--S_churn", SAMPLE + "--S_churn 1 --save_path 1"),
    (2, "--S_noise", SAMPLE + "--S_churn 1 --S_noise -1"),
    (2, "--v3_stats|dpm_v3", SAMPLE_NET + "--solver dpm_v3"),
    (2, "--v3_stats|dpm_v3|heun", SAMPLE_NET + "--v3_stats in/v3"),
    (2, "--corrector|dpm_v3|heun", SAMPLE_NET + "--corrector"),
    (2, "--v3_stats|in/stats.safetensors|another network|in/v3", SAMPLE + "--solver dpm_v3 --v3_stats in/v3"),
    (2, "--order|dpm_v3|4", SAMPLE_V3 + "--order 4"),
    (2, "--v3_range|in/v3/range.json", SAMPLE_V3 + "--v3_range 0.002,80"),
    (2, "--v3_range|2,1", SAMPLE_BARE_V3 + "--v3_range 2,1"),
    (2, "--v3_stats|[0.01, 50]|in/bare_v3|80", SAMPLE_BARE_V3 + "--v3_range 0.01,50"),
    (2, "--v3_stats|[0.01, 50]|0.005", SAMPLE_BARE_V3 + "--v3_range 0.01,50 --sigma_max 20 --sigma_min 0.005"),
    (2, "--grid_file|optimised", SAMPLE_NET + "--schedule optimised"),
    (2, "--grid_file|optimised", SAMPLE_NET + "--grid_file in/grids.json"),
    (2, "--grid_file|in/grids.json|in/stats.safetensors", SAMPLE + "--schedule optimised --grid_file in/grids.json --steps 3"),
    (2, "--steps|3, 4|in/grids.json|5", SAMPLE_NET + "--schedule optimised --grid_file in/grids.json --steps 5"),
    (2, "--sigmas|--schedule", SAMPLE_NET + "--schedule optimised --grid_file in/grids.json --sigmas 5,1,0"),
    # train
    (2, "8", "train --data in/images.idx --out net.safetensors --images 64 --channels 8 --channel_mult 1,1,1,1,1 --blocks 1"),
    (2, "sigma_data", TRAIN + "--sigma_data -1"),
    (2, "sigma_min|sigma_max", TRAIN + "--sigma_min 5 --sigma_max 1"),
    # evaluate and report
    (2, "--num|in/run|4", EVALUATE + "--num 5"),
    (2, "--num|4", EVALUATE),
    (2, "--metrics|fid|frechet", EVALUATE + "--num 4 --metrics fid"),
    (2, "--reference|1,8,8", "evaluate --samples in/run --num 4 --reference in/data6.npy"),
]

# A grey gradient of 8 x 8 pixels.
JPEG = ("/9j/2wBDAAMCAgMCAgMDAwMEAwMEBQgFBQQEBQoHBwYIDAoMDAsKCwsNDhIQDQ4RDgsLEBYQERMUFRUVDA8XGBYUGBIUFRT/wAALCAAIAAgBAREA/8QAFAABAAAAAAAAAAAA"
        "AAAAAAAAB//EABoQAAAHAAAAAAAAAAAAAAAAAAAHCCQzQlH/2gAIAQEAAD8ACi2TbE1yo//Z")

# {file} is replaced by a file of the format, damaged in all the ways below that apply to it.
DAMAGED = [
    ("idx", "fit {file} --out out.safetensors", ["missing", "empty", "cut", "magic", "trailing"]),
    ("idx.gz", "fit {file} --out out.safetensors", ["cut", "checksum"]),
    ("npy", "fit {file} --out out.safetensors", ["cut", "nan", "order"]),
    ("points.npy", "flow {file} --stats in/stats6.safetensors --from 2 --to 1 --out out.npy", ["missing", "empty", "cut", "magic", "nan", "dtype"]),
    ("stats", "flow in/points6.npy --stats {file} --from 2 --to 1 --out out.npy", ["missing", "empty", "cut", "nan", "order", "other"]),
    ("net", "sample --network {file} --outdir run --seeds 0 --steps 2", ["missing", "empty", "cut", "magic", "nan", "other"]),
    ("folder", "fit {file} --out out.safetensors", ["missing", "empty", "cut", "magic", "size", "alpha", "mixed", "jpeg", "labels"]),
    ("pictures.zip", "fit {file} --out out.safetensors", ["missing", "empty", "cut", "member", "size", "json", "labels", "absent", "none"]),
    ("batch.bin", "fit {file} --out out.safetensors", ["missing", "empty", "cut", "label"]),
    ("v3", "sample --network in/net.safetensors --outdir run --seeds 0 --steps 2 --solver dpm_v3 --v3_stats {file}",
     ["missing", "empty", "cut", "key", "shape", "range"]),
    ("grids", "sample --network in/net.safetensors --outdir run --seeds 0 --steps 3 --schedule optimised --grid_file {file}",
     ["missing", "empty", "cut", "magic", "order"]),
    ("cifar", "train --data {file} --out net.safetensors --images 64", ["absent", "cut", "label"]),
]

FILES = [
    (3, "in/locked", SAMPLE.replace("--outdir run", "--outdir in/locked")),
    (3, "in/run|--resume", SAMPLE.replace("--outdir run", "--outdir in/run")),
    (3, "in/run/run.json|settings", SAMPLE.replace("--outdir run", "--outdir in/run") + "--resume --steps 3"),
    (3, "in/foreign", SAMPLE.replace("--outdir run", "--outdir in/foreign") + "--resume"),
    (3, "in/nothing", SAMPLE + "--init in/nothing --init_sigma 1"),
    (3, "in/nothing", SAMPLE + "--teleport 20 --teleport_stats in/nothing"),
    (3, "in/images.idx/run", SAMPLE.replace("--outdir run", "--outdir in/images.idx/run")),
    (3, "in/images.idx/out.npy", "flow in/points6.npy --stats in/stats6.safetensors --from 2 --to 1 --out in/images.idx/out.npy"),
    (3, "nowhere/out.safetensors", "fit in/data6.npy --out nowhere/out.safetensors"),
    (3, "nowhere/net.safetensors", TRAIN.replace("--out net.safetensors", "--out nowhere/net.safetensors")),
    (3, "nowhere/result.json", FIT6 + "--json nowhere/result.json"),
    (3, "in/images.idx|labels", TRAIN + "--arch classifier"),
    (3, "in/net.safetensors", EVALUATE + "--num 4 --features in/net.safetensors"),
    (3, "in/nothing", "evaluate --samples in/run --num 4 --reference in/nothing"),
    (3, "in/text.txt", "info in/text.txt"),
    (3, "in/broken", "report in/broken --out report.html"),
    (3, "in/foreign", "report in/foreign --out report.html"),
]

# Accepted although it looks odd.
ACCEPTED = [
    "sample --stats in/stats.safetensors --outdir run --seeds 0-1 --steps 3 --sigma-max 40 --sigma-min=0.01 --denoise-to-zero off",
    "sample --stats in/stats.safetensors --outdir run/deeper --seeds 7,1-2 --sigmas 3,2,1",
    "fit in/data6.npy --out out.safetensors --energy 1.0 --limit 1000",
]


def damaged_safetensors(content, way):
    metadata, tensors = cli.parse_safetensors(content)
    if way == "nan":
        tensors[min(tensors)].values[0] = math.nan
    else:  # eigenvalues ascending
        tensors["eigenvalues"].values.reverse()
    return cli.safetensors_bytes(metadata, tensors)


def damage_folder(path, way):
    """A good picture and one that is not like it."""
    path.mkdir()
    if way == "empty":
        return
    good, jpeg = cli.png_bytes(8, 8, cli.blob_pixels(1)), base64.b64decode(JPEG)
    (path / "a.png").write_bytes(good)
    bad = {"cut": good[:-20], "magic": b"GIF89a" + good, "size": cli.png_bytes(8, 4, cli.blob_pixels(1)[:32]),
           "alpha": cli.png_bytes(8, 8, cli.blob_pixels(2), channels=2), "mixed": cli.png_bytes(8, 8, cli.blob_pixels(3), channels=3),
           "jpeg": jpeg[:-20], "labels": jpeg}
    (path / "b.jpg").write_bytes(bad[way])
    if way == "labels":
        (path / "dataset.json").write_text('{"labels": [["a.png", 1]]}')


def damage_zip(path, way):
    """A dataset as EDM makes it, of a PNG and a JPEG file."""
    good, jpeg = cli.png_bytes(8, 8, cli.blob_pixels(1)), base64.b64decode(JPEG)
    members = {"00000/a.png": good, "00000/b.jpg": jpeg, "dataset.json": '{"labels": [["00000/a.png", 1], ["00000/b.jpg", 0]]}'}
    members |= {"member": {"00000/b.jpg": jpeg[:-20]}, "size": {"00000/b.jpg": cli.png_bytes(8, 4, cli.blob_pixels(1)[:32])},
                "json": {"dataset.json": '{"labels": '}, "labels": {"dataset.json": '{"labels": [["00000/a.png", 1], ["00000/b.jpg", "cat"]]}'}}.get(way, {})
    if way == "absent":
        del members["00000/b.jpg"]
    elif way == "none":
        members = {"readme.txt": "nothing here"}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    content = path.read_bytes()
    path.write_bytes(b"" if way == "empty" else content[:-30] if way == "cut" else content)


def cifar_records(count, label=3):
    return (bytes([label]) + bytes(3072)) * count


def damage_cifar(path, way):
    """CIFAR-10's batches, where `path` is a folder, or one."""
    bad = {"empty": b"", "cut": cifar_records(2)[:-1], "label": cifar_records(1) + cifar_records(1, 10)}.get(way, b"")
    if path.suffix == ".bin":
        path.write_bytes(bad)
        return
    path.mkdir()
    for i in range(1, 6):
        if way != "absent" or i != 3:
            (path / ("data_batch_%d.bin" % i)).write_bytes(bad if i == 3 else cifar_records(2))


def damage_v3(path, way):
    """A folder of DPM-Solver-v3's statistics."""
    if way == "empty":
        path.mkdir()
        return
    shutil.copytree(inputs / "v3", path)
    if way == "cut":
        (path / "sb.npz").write_bytes((path / "sb.npz").read_bytes()[:-30])
    elif way == "key":
        shutil.copy(path / "l.npz", path / "sb.npz")
    elif way == "shape":
        with zipfile.ZipFile(path / "l.npz", "w") as archive:
            archive.writestr("l.npy", cli.npy_bytes((3, 1, 4, 4), [1.0] * 48))
    elif way == "range":
        (path / "range.json").write_text('{"sigma_min": "low"}')


def damage_grids(path, way):
    text = (inputs / "grids.json").read_text()
    bad = {"empty": "", "cut": text[:-10], "magic": '{"network_sha256": ""}', "order": text.replace("80.0", "0.001", 1)}
    path.write_text(bad[way])


def damage(path, kind, way):
    """Makes `path` a file (or folder) of the kind that is damaged in this way. The good ones are among the inputs."""
    if way == "missing":
        return
    writers = {"folder": damage_folder, "pictures.zip": damage_zip, "batch.bin": damage_cifar, "cifar": damage_cifar, "v3": damage_v3,
               "grids": damage_grids}
    if kind in writers:
        writers[kind](path, way)
        return
    source = {"idx": "images.idx", "idx.gz": "images.idx.gz", "npy": "data6.npy", "points.npy": "points6.npy", "stats": "stats6.safetensors",
              "net": "net.safetensors"}[kind]
    content = (inputs / source).read_bytes()
    if way == "empty":
        content = b""
    elif way == "cut":
        content = content[: len(content) * 3 // 4]
    elif way == "magic":
        content = b"This is a line of text, and no more than that.\n" * 20
    elif way == "trailing":
        content += b"\0"
    elif way == "checksum":
        content = content[:-8] + bytes(4) + content[-4:]
    elif way == "other":
        content = (inputs / ("net.safetensors" if kind == "stats" else "stats.safetensors")).read_bytes()
    elif way == "dtype":
        content = cli.npy_bytes((5, 6), [1] * 30, "<i8")
    elif kind in ("npy", "points.npy"):
        values = [float(i) for i in range(30)]
        values[17] = math.nan if way == "nan" else 0.0
        content = cli.npy_bytes((5, 6), values, order=way == "order")
    else:
        content = damaged_safetensors(content, way)
    path.write_bytes(content)


def damaged_cases():
    """At fault in a folder is a file in it, so the line names that, or the folder where there is none."""
    cases = []
    for kind, command, ways in DAMAGED:
        for way in ways:
            name = "in/%s_%s.%s" % (kind.split(".")[0], way, kind.split(".", 1)[-1]) if "." in kind else "in/%s_%s" % (kind, way)
            cases.append((3, name, command.replace("{file}", name)))
            damage(inputs / name[3:], kind, way)
    return cases


def setUpModule():
    global root, inputs, lock
    root = cli.temporary_folder()
    inputs = root / "in"
    inputs.mkdir()
    cli.write_blobs(inputs / "images.idx", 24)
    (inputs / "images.idx.gz").write_bytes(gzip.compress((inputs / "images.idx").read_bytes()))
    cli.write_points(inputs / "data6.npy", cli.gaussian_points(20, 6))
    cli.write_points(inputs / "points6.npy", cli.gaussian_points(5, 6))
    cli.write_points(inputs / "points5.npy", cli.gaussian_points(5, 5))
    cli.write_points(inputs / "points64.npy", cli.gaussian_points(2, 64))
    (inputs / "text.txt").write_text("hello\n")
    cli.succeed("fit", inputs / "images.idx", "--out", inputs / "stats.safetensors")
    cli.succeed("fit", inputs / "data6.npy", "--out", inputs / "stats6.safetensors")
    cli.succeed("train", "--data", inputs / "images.idx", "--out", inputs / "net.safetensors", "--images", 32, *cli.TINY)
    cli.succeed("fit", "--from_network", inputs / "net.safetensors", "--dpm_v3", inputs / "v3", "--v3_points", 4, "--v3_cells", 2,
                "--grid_file", inputs / "grids.json", "--grid_steps", "3,4")
    (inputs / "bare_v3").mkdir()
    for name in ("l.npz", "sb.npz"):
        (inputs / "bare_v3" / name).write_bytes((inputs / "v3" / name).read_bytes())
    # in/stats.safetensors is named as the tables name it, because a run's settings hold the name.
    cli.succeed(*shlex.split(SAMPLE.replace("--outdir run", "--outdir in/run")), cwd=root)
    (inputs / "foreign").mkdir()
    (inputs / "foreign" / "diary.txt").write_text("not a run\n")
    (inputs / "broken").mkdir()
    (inputs / "broken" / "run.json").write_text('{"settings": ')
    (inputs / "locked").mkdir()
    lock = os.open(inputs / "locked", os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(lock, fcntl.LOCK_EX)


def tearDownModule():
    os.close(lock)


def attempt(number, command):
    """The command's result, and what it left in its folder."""
    folder = root / ("case_%03d" % number)
    folder.mkdir()
    (folder / "in").symlink_to(inputs)
    result = cli.run(*shlex.split(command), cwd=folder)
    left = cli.tree(folder)
    del left["in"]
    shutil.rmtree(folder)
    return result, left


def attempts(commands):
    """All of them, two at a time: most of a case is the time the command takes to start."""
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return list(pool.map(attempt, range(len(commands)), commands))


class BadInputs(unittest.TestCase):
    def check(self, cases):
        before = cli.tree(inputs)
        for (code, names, command), (result, left) in zip(cases, attempts([case[2] for case in cases]), strict=True):
            with self.subTest(command=command):
                message = "\n%s\nleft: %s" % (result, sorted(left))
                self.assertEqual(result.code, code, message)
                self.assertRegex(result.err, r"\Aheadstart: [^\n]+\n\Z", message)
                for name in names.split("|"):
                    self.assertIn(name, result.err, message)
                self.assertEqual(result.out, "", message)
                left.pop("run", None) if left.get("run", b"") is None else None  # the run's folder may have been made
                self.assertEqual(left, {}, message)
        after = cli.tree(inputs)
        changed = [name for name in sorted({*before, *after}) if before.get(name, "-") != after.get(name, "-")]
        self.assertEqual(changed, [], "inputs were changed")

    def test_calls_that_make_no_sense_are_refused(self):
        self.check(USAGE)

    def test_damaged_files_are_refused(self):
        self.check(damaged_cases())

    def test_folders_and_files_that_cannot_be_used_are_refused(self):
        self.check(FILES)

    def test_a_folder_without_permission_is_refused(self):
        if os.geteuid() == 0:
            self.skipTest("root may write everywhere")
        (inputs / "closed").mkdir(mode=0o500)
        self.check([(3, "in/closed/out.safetensors", "fit in/data6.npy --out in/closed/out.safetensors"),
                    (3, "in/closed/run", SAMPLE.replace("--outdir run", "--outdir in/closed/run"))])

    def test_what_only_looks_odd_is_accepted(self):
        for command, (result, left) in zip(ACCEPTED, attempts(ACCEPTED), strict=True):
            with self.subTest(command=command):
                self.assertEqual(result.code, 0, "\n%s" % result)
                self.assertNotIn("headstart:", result.err)
                if "--sigma-max" in command:
                    settings = json.loads(left["run/run.json"])["settings"]
                    self.assertEqual((settings["sigma_max"], settings["sigma_min"], settings["sigmas"][0]), (40, 0.01, 40))


if __name__ == "__main__":
    cli.main()
