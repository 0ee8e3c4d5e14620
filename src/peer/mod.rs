//! Both directions of one plugin's pipe. Knows no Shotgun.
