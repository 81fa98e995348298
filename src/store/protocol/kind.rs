//! The numbers of the kinds of frames.

pub(super) const HELLO: u8 = 1;
pub(super) const WELCOME: u8 = 2;
pub(super) const REFUSED: u8 = 3;
pub(super) const RECORD: u8 = 4;
pub(super) const VISIBLE: u8 = 5;
pub(super) const SEALED: u8 = 6;
pub(super) const QUARANTINED: u8 = 7;
pub(super) const KEPT: u8 = 8;
pub(super) const RESEND: u8 = 9;
pub(super) const RESENT: u8 = 10;
pub(super) const RELEASED: u8 = 11;
pub(super) const REACH: u8 = 12;
pub(super) const SEAL_SOON: u8 = 13;
