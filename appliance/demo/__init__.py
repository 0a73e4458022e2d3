"""The whole product on loopback: a scanner, a box, a cloud, a PACS, and a link that is cut."""
