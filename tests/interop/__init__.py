"""Tests that talk to other implementations of devp2p; see the README of this folder."""
