#!/usr/bin/python3
"""rtsp_server.py ADDRESS PORT FOLDER: gst-rtsp-server with FOLDER/audio (PCMU) and FOLDER/video (32x16 UYVY, 25 frames a second) at /t."""
import sys
import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

AUDIO = "filesrc location={0}/audio blocksize=320 ! rawaudioparse format=mulaw sample-rate=8000 num-channels=1 ! rtppcmupay name=pay0 pt=0"
VIDEO = "filesrc location={0}/video blocksize=1024 ! rawvideoparse format=uyvy width=32 height=16 framerate=25/1 ! rtpvrawpay name=pay1 pt=96"

address, port, folder = sys.argv[1:]
Gst.init(None)
server = GstRtspServer.RTSPServer(address=address, service=port)
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch(f"( {AUDIO} {VIDEO} )".format(folder))
server.get_mount_points().add_factory("/t", factory)
assert server.attach(None), "the port is taken"
print("ready", flush=True)
GLib.MainLoop().run()
