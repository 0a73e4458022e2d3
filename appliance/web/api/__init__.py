"""What programs ask of the box over HTTP, below ``/api``: the same state the page shows, as JSON.

``answers`` (what goes out, typed) · ``problems`` (RFC 9457) · ``asking`` (who asks, and how much at once) →
``studies``, ``outbox``, ``machine`` (the resources) → ``service`` (all of them as one application, with its
OpenAPI description).
"""
