#!/usr/bin/env python3
"""train: the same weights whatever the threads and interruptions, checkpoints that only their own run may use, and the classifier."""

import json
import shutil
import signal
import sys
import unittest

sys.dont_write_bytecode = True  # no __pycache__ in the source tree
import cli_support as cli  # noqa: E402

IMAGES = 1280
SETTINGS = [*cli.TINY, "--images", IMAGES, "--checkpoint_images", 64]


def settings_with(option, value):
    """SETTINGS with one of them given another value, or one more."""
    settings = list(SETTINGS)
    if option in settings:
        settings[settings.index(option) + 1] = value
        return settings
    return [*settings, option, value]


def setUpModule():
    global folder, data
    folder = cli.temporary_folder()
    data = folder / "blobs-images-idx3-ubyte"
    cli.write_blobs(data, labelled=True)
    (folder / "unlabelled").mkdir()
    cli.write_blobs(folder / "unlabelled" / "images.idx", 40)


def train(out, *options, settings=None):
    return cli.result_of("train", "--data", data, "--out", out, *(settings or SETTINGS), *options)


def contents(path):
    """Metadata without what a clock says, and the tensors' values, NaN-free and comparable."""
    metadata, tensors = cli.read_safetensors(path)
    return {key: value for key, value in metadata.items() if "seconds" not in key}, {
        name: (tensor.dtype, tensor.shape, tensor.values) for name, tensor in tensors.items()
    }


def interrupted(out, *options):
    """Trains until the first checkpoint is there, and interrupts."""
    checkpoint = out.with_name(out.name + ".checkpoint")
    result = cli.run_and_signal(signal.SIGINT, checkpoint.exists, "train", "--data", data, "--out", out, *SETTINGS, *options)
    if result.code != cli.INTERRUPTED:
        raise AssertionError("expected an interruption\n%s" % result)
    return checkpoint, result


class Training(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.out = folder / "whole.safetensors"
        cls.result = train(cls.out, "--threads", 2)
        cls.stopped = folder / "stopped.safetensors"
        cls.checkpoint, cls.interruption = interrupted(cls.stopped)

    def test_json_and_file_say_what_was_trained(self):
        result = self.result
        metadata, tensors = cli.read_safetensors(self.out)
        self.assertEqual((result["images"], result["finished"], result["out"]), (IMAGES, True, str(self.out)))
        self.assertEqual(result["parameters"], sum(len(tensor.values) for tensor in tensors.values()))
        self.assertEqual((metadata["format"], metadata["prediction"]), ("headstart-network", "edm"))
        arch = json.loads(metadata["arch"])
        self.assertEqual((arch["type"], arch["shape"], arch["model_channels"], arch["channel_mult"]), ("song_unet", [1, 8, 8], 8, [1, 2]))
        losses = [loss for _, loss in result["loss_curve"]]
        self.assertEqual(result["loss_curve"][-1][0], IMAGES)
        self.assertLess(sum(losses[-10:]), 0.8 * sum(losses[:10]))
        pixels = [pixel / 127.5 - 1 for pixel in cli.blob_pixels(96)]
        rms = (sum(cli.moments([pixels[n * 64 : n * 64 + 64] for n in range(96)])[1][i][i] for i in range(64)) / 64) ** 0.5
        self.assertAlmostEqual(result["sigma_data"], rms, delta=1e-5)
        self.assertAlmostEqual(float(metadata["sigma_data"]), rms, delta=1e-5)

    def test_threads_change_nothing(self):
        other = folder / "one_thread.safetensors"
        result = train(other, "--threads", 1)
        self.assertEqual(contents(other), contents(self.out))
        self.assertEqual(result["loss_curve"], self.result["loss_curve"])

    def test_networks_are_kept_on_the_way_whatever_the_precision(self):
        out = folder / "kept.safetensors"
        train(out, "--keep", 3, "--precision", "bf16")
        kept = sorted(folder.glob("kept.safetensors.0*"))
        self.assertEqual(len(kept), 3)
        self.assertEqual(int(kept[-1].name.rsplit(".", 1)[1]), IMAGES)
        self.assertEqual(contents(kept[-1])[1], contents(out)[1])
        self.assertNotEqual(contents(kept[0])[1], contents(out)[1])
        self.assertEqual(cli.result_of("info", kept[0])["kind"], "network")
        self.assertNotEqual(contents(out)[1], contents(self.out)[1], "bfloat16 was not used")

    def test_an_interruption_leaves_a_checkpoint_and_no_network(self):
        self.assertRegex(self.interruption.err, r"\Aheadstart: [^\n]*interrupted[^\n]*\n\Z")
        self.assertFalse(self.stopped.exists())
        self.assertEqual(cli.temporary_files(folder), [])
        metadata, _ = cli.read_safetensors(self.checkpoint)
        self.assertEqual(metadata["format"], "headstart-checkpoint")
        seen = json.loads(metadata["progress"])["images"]
        self.assertTrue(64 <= seen < IMAGES, seen)

    def test_a_resumed_training_gives_the_weights_of_an_uninterrupted_one(self):
        out = folder / "resumed.safetensors"
        shutil.copy(self.checkpoint, folder / "resumed.safetensors.checkpoint")
        result = train(out)
        self.assertEqual(contents(out), contents(self.out))
        self.assertEqual(result["loss_curve"], self.result["loss_curve"])

    def refuse(self, code, name, out, settings, images=None):
        result = cli.run("train", "--data", images or data, "--out", out, *settings)
        message = "\n%s" % result
        self.assertEqual(result.code, code, message)
        self.assertRegex(result.err, r"\Aheadstart: [^\n]+\n\Z", message)
        self.assertIn(str(name), result.err, message)
        self.assertFalse(out.exists(), message)

    def test_a_checkpoint_of_other_settings_is_refused(self):
        # Whatever the weights depend on.
        others = {"--lr": 0.001, "--batch": 16, "--seed": 1, "--channels": 16, "--warmup": 128, "--ema_fraction": 0.1, "--sigma_max": 40}
        for option, value in others.items():
            with self.subTest(option):
                out = folder / ("other_%s.safetensors" % option[2:])
                checkpoint = out.with_name(out.name + ".checkpoint")
                shutil.copy(self.checkpoint, checkpoint)
                self.refuse(3, checkpoint, out, settings_with(option, value))
                self.assertEqual(checkpoint.read_bytes(), self.checkpoint.read_bytes())

    def test_a_checkpoint_of_other_data_is_refused(self):
        # Turned upside down: the same number, size and deviation.
        turned = folder / "turned.idx"
        cli.write_idx(turned, (96, 8, 8), list(reversed(cli.blob_pixels(96))))
        out = folder / "other_data.safetensors"
        shutil.copy(self.checkpoint, folder / "other_data.safetensors.checkpoint")
        self.refuse(3, "other_data.safetensors.checkpoint", out, SETTINGS, turned)

    def test_a_damaged_checkpoint_is_refused(self):
        out = folder / "damaged.safetensors"
        checkpoint = folder / "damaged.safetensors.checkpoint"
        checkpoint.write_bytes(self.checkpoint.read_bytes()[:-100])
        self.refuse(3, checkpoint, out, SETTINGS)

    def test_restart_discards_the_checkpoint(self):
        out = folder / "restarted.safetensors"
        (folder / "restarted.safetensors.checkpoint").write_bytes(b"anything")
        train(out, "--restart")
        self.assertEqual(contents(out), contents(self.out))


class Classifier(unittest.TestCase):
    SETTINGS = ["--arch", "classifier", "--classifier_channels", "8", "--features", "16", "--images", "960", "--batch", "32", "--warmup", "64"]

    def test_learns_from_labels(self):
        out = folder / "classifier.safetensors"
        result = train(out, "--test_data", data, settings=self.SETTINGS)
        self.assertGreater(result["test_accuracy"], 0.7)  # two classes
        metadata, _ = cli.read_safetensors(out)
        arch = json.loads(metadata["arch"])
        self.assertEqual((arch["classes"], arch["features"]), (2, 16))
        # As a feature space, of pictures drawn by the network's own kind of data.
        evaluation = cli.result_of("evaluate", "--samples", data, "--reference", data, "--num", 96, "--features", out)
        self.assertEqual((evaluation["features"], evaluation["num"], evaluation["reference_count"]), ("classifier", 96, 96))
        self.assertAlmostEqual(evaluation["frechet"]["value"], 0, delta=1e-6)

    def test_is_refused_without_labels(self):
        unlabelled, out = folder / "unlabelled" / "images.idx", folder / "none.safetensors"
        result = cli.run("train", "--data", unlabelled, "--out", out, *self.SETTINGS)
        self.assertEqual(result.code, 3, result)
        self.assertRegex(result.err, r"\Aheadstart: [^\n]*labels[^\n]*\n\Z")
        self.assertIn(str(unlabelled), result.err)
        self.assertFalse(out.exists())


if __name__ == "__main__":
    cli.main()
